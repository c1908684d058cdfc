import { type ProcessResult, runProcess } from "../deno_process.ts";
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

/** Starts a session with a keyring of its own; needs gnome-keyring and dbus from Debian. */
export async function startKeyringSession(
  { state = "unlocked" }: { state?: KeyringState } = {},
): Promise<KeyringSession> {
  const home = await tempDir();
  const env = await homeEnv(home);
  const bus = state === "no-bus" ? undefined : await startBus(state === "absent", home, env);
  const session = new KeyringSession(home, env, bus);
  try {
    if (state === "unlocked") await session.startKeyring();
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
  return session;
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

async function startBus(
  isEmpty: boolean,
  home: TempDir,
  env: Record<string, string>,
): Promise<ServerProcess> {
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

/** A desktop session of its own: its home, its D-Bus and its gnome-keyring. */
export class KeyringSession implements AsyncDisposable {
  /** What a program in this session needs in its environment. */
  readonly env: Record<string, string>;
  #home: TempDir;
  #bus: ServerProcess | undefined;
  #keyring: ServerProcess | undefined;
  readonly #password = crypto.randomUUID();

  constructor(home: TempDir, env: Record<string, string>, bus: ServerProcess | undefined) {
    this.#home = home;
    this.#bus = bus;
    this.env = bus === undefined ? env : { ...env, DBUS_SESSION_BUS_ADDRESS: bus.said };
  }

  /** Runs a program in this session, with nothing of this process's environment but `PATH`. */
  async run(
    command: string[],
    { stdin = "" }: { stdin?: string } = {},
  ): Promise<ProcessResult> {
    return await runProcess(command, { env: this.env, stdin, timeoutMs: 120_000 });
  }

  async startKeyring(): Promise<void> {
    this.#keyring = await startServerProcess({
      command: ["sh", "-c", KEYRING_DAEMON],
      env: { ...this.env, KEYRING_PASSWORD: this.#password },
      readyOn: "stdout",
      ready: /^(started)$/,
    });
    // A client that came before it would make the bus start another one, which is locked.
    while (!(await this.run(HAS_OWNER)).stdout.includes("boolean true")) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Locks the collection, as a screen that locks does. */
  async lock(): Promise<void> {
    const { code, stderr } = await this.run(LOCK);
    if (code !== 0) throw new Error(`Cannot lock the keyring: ${stderr}`);
  }

  /** Sends the keyring's daemon a signal, such as `STOP` and `CONT` to make it silent for a while. */
  async signal(name: string): Promise<void> {
    await this.#keyring!.signal(name);
  }

  /** Ends the daemon and starts it again with the same password, as a restart of the machine does. */
  async restart(): Promise<void> {
    await this.#keyring!.end("TERM");
    await this.startKeyring();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keyring?.end("TERM");
    await this.#bus?.end("TERM");
    await this.#home[Symbol.asyncDispose]();
  }
}
