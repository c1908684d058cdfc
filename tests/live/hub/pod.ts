import { mustRun, runProcess } from "../../support/deno_process.ts";
import { startJsrRegistry } from "../../support/jsr_registry.ts";
import { tempDir } from "../../support/temp_home.ts";

/** The account in a pod. */
export interface PodUser {
  uid: number;
  /** The group, and further ones. */
  groups: number[];
}

/** What a pod's process sees of the world, and as whom. */
export interface PodOptions {
  user: PodUser;
  env: Record<string, string>;
  /** Folders of this machine, by their place in the pod. All else is read-only. */
  volumes?: Record<string, string>;
  /** The code that runs; it imports `jsr:@validmind/auth`. */
  code: string;
}

/** An image: this machine, read-only, with the module in a cache that cannot be filled any more. */
export interface PodImage extends AsyncDisposable {
  /** Runs code in a pod; gives the lines of JSON that it prints. */
  run<T>(options: PodOptions): Promise<T[]>;
}

const MODULES = ["", "/backends/vault", "/backends/helper", "/backends/keychain"];

/**
 * Makes what an admin carries over to a place where neither JSR nor npm answers: a folder that Deno
 * has filled once. The registry that filled it is gone before anything runs.
 */
export async function makePodImage(): Promise<PodImage> {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir("validmind-auth-pod-"));
  await Deno.chmod(path, 0o755);
  const cache = `${path}/deno-dir`;
  {
    await using registry = await startJsrRegistry();
    const names = MODULES.map((name) => `jsr:@validmind/auth${name}`);
    await mustRun([Deno.execPath(), "cache", "--no-config", ...names], { env: registry.env });
    await mustRun(["cp", "-aL", registry.env.DENO_DIR!, cache]);
    await mustRun(["chmod", "-R", "a+rX,a-w", cache]);
    await Deno.copyFile(Deno.execPath(), `${path}/deno`);
    await Deno.chmod(`${path}/deno`, 0o755);
    await Deno.writeTextFile(`${path}/registry`, registry.url);
  }
  const JSR_URL = await Deno.readTextFile(`${path}/registry`);
  const fixed = { DENO_DIR: cache, JSR_URL, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  const held = stack.move();
  return {
    async run<T>({ user, env, volumes = {}, code }: PodOptions) {
      await using own = await tempDir("validmind-auth-pod-");
      await Deno.chmod(own.path, 0o755);
      await Deno.mkdir(`${own.path}/root`);
      await Deno.writeTextFile(`${own.path}/script.ts`, code);
      const { code: exit, stdout, stderr } = await runProcess(
        [
          "unshare",
          "--mount",
          "--propagation",
          "private",
          "sh",
          "-ceu",
          mounts(own.path, volumes),
          "sh",
        ]
          .concat(
            ["chroot", `--userspec=${user.uid}:${user.groups[0]}`, `--groups=${user.groups}`],
            [`${own.path}/root`, "env", "-i"],
            Object.entries({ ...env, ...fixed }).map(([name, value]) => `${name}=${value}`),
            [`${path}/deno`, "run", "-A", "--no-config", "--cached-only", `${own.path}/script.ts`],
          ),
        { timeoutMs: 60_000 },
      );
      if (exit !== 0) throw new Error(`Cannot run in a pod: ${stderr}`);
      return stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** The mounts of a pod: a read-only root, and the places of volumes below folders in memory. */
function mounts(folder: string, volumes: Record<string, string>): string {
  const root = `${folder}/root`;
  const places = Object.entries(volumes).map(([place, from]) =>
    `mkdir -p ${root}${place}; mount --bind ${from} ${root}${place}`
  );
  return [
    `mount --rbind / ${root}`,
    `mount -o remount,bind,ro ${root}`,
    ...["home", "run", "opt"].map((name) => `mount -t tmpfs -o mode=755 none ${root}/${name}`),
    ...places,
    `exec "$@"`,
  ].join("\n");
}

/**
 * Writes a file as kubelet projects one: behind two links, for a group, and renewed by the rename of
 * the folder's link.
 */
export async function project(
  folder: string,
  name: string,
  text: string,
  { uid, groups: [group] }: PodUser,
): Promise<void> {
  const version = `..${crypto.randomUUID()}`;
  await Deno.mkdir(`${folder}/${version}`, { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/${version}/${name}`, text, { mode: 0o640 });
  await Deno.chown(`${folder}/${version}/${name}`, uid, group!);
  await Deno.symlink(version, `${folder}/..data_tmp`);
  await Deno.rename(`${folder}/..data_tmp`, `${folder}/..data`);
  await Deno.symlink(`..data/${name}`, `${folder}/${name}`).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
}
