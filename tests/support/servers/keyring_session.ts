import { mustRun, runProcess } from "../deno_process.ts";
import { type TempDir, tempDir } from "../temp_home.ts";
import { type ServerProcess, startServerProcess } from "./server_process.ts";

/**
 * What a program meets that asks for the Secret Service: its collection unlocked, a D-Bus without such a
 * service, or no D-Bus.
 */
export type KeyringState = "unlocked" | "absent" | "no-bus";

const COLLECTION = "/org/freedesktop/secrets/collection/login";
const POLL_MS = 20;
const HAS_OWNER = [
  ...["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus"],
  ...["/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner"],
  "string:org.freedesktop.secrets",
];
const LOCK = [
  ...["dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets"],
  ...["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"],
  `array:objpath:${COLLECTION}`,
];

/** Without service folders: nothing is started because somebody asks for it. */
const EMPTY_BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
`;

/** In the foreground it is a child that can be ended. It reads its password from standard input. */
const KEYRING_DAEMON = `echo started
exec gnome-keyring-daemon --foreground --unlock --components=secrets <<END
$KEYRING_PASSWORD
END`;

/** A desktop session of its own: its home, its D-Bus and its gnome-keyring. */
export type KeyringSession = Awaited<ReturnType<typeof startKeyringSession>>;

/** Starts a session with a keyring of its own; needs gnome-keyring and dbus from Debian. */
export async function startKeyringSession({ state = "unlocked" }: { state?: KeyringState } = {}) {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await tempDir());
  const own = await homeEnv(home);
  const bus = state === "no-bus" ? undefined : await startBus(state === "absent", home, own);
  stack.defer(() => bus?.end("TERM"));
  /** What a program in this session needs in its environment. */
  const env = bus === undefined ? own : { ...own, DBUS_SESSION_BUS_ADDRESS: bus.said };
  /** Runs a program in this session, with nothing of this process's environment but `PATH`. */
  const run = (command: string[], { stdin = "" } = {}) =>
    runProcess(command, { env, stdin, timeoutMs: 120_000 });
  const password = crypto.randomUUID();
  let keyring: ServerProcess | undefined;
  stack.defer(() => keyring?.end("TERM"));
  const startKeyring = async () => {
    keyring = await startServerProcess({
      command: ["sh", "-c", KEYRING_DAEMON],
      env: { ...env, KEYRING_PASSWORD: password },
      readyOn: "stdout",
      ready: /^(started)$/,
    });
    // A client that came before it would make the bus start another one, which is locked.
    while (!(await run(HAS_OWNER)).stdout.includes("boolean true")) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  if (state === "unlocked") await startKeyring();
  const started = stack.move();
  return {
    env,
    run,
    /** Locks the collection, as a screen that locks does. */
    lock: () => mustRun(LOCK, { env }),
    /** Sends the keyring's daemon a signal, such as `STOP` and `CONT` to make it silent for a while. */
    signal: (name: string) => keyring!.signal(name),
    /** Ends the daemon and starts it again with the same password, as a restart of the machine does. */
    async restart() {
      await keyring!.end("TERM");
      await startKeyring();
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function homeEnv({ path }: TempDir): Promise<Record<string, string>> {
  const folders = {
    XDG_DATA_HOME: `${path}/.local/share`,
    XDG_CONFIG_HOME: `${path}/.config`,
    XDG_CACHE_HOME: `${path}/.cache`,
    XDG_RUNTIME_DIR: `${path}/run`,
  };
  for (const folder of Object.values(folders)) {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  }
  return { HOME: path, PATH: Deno.env.get("PATH")!, ...folders };
}

async function startBus(isEmpty: boolean, home: TempDir, env: Record<string, string>) {
  const config = `${home.path}/bus.conf`;
  if (isEmpty) await Deno.writeTextFile(config, EMPTY_BUS);
  const which = isEmpty ? `--config-file=${config}` : "--session";
  return await startServerProcess({
    command: ["dbus-daemon", which, "--nofork", "--print-address"],
    env,
    readyOn: "stdout",
    ready: /^(unix:.+)$/,
  });
}
