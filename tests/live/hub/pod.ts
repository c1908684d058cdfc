import { mustRun } from "../../support/deno_process.ts";
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

const MODULES = ["", "/backends/vault", "/backends/helper", "/backends/keychain"];

/**
 * Makes what an admin carries over to a place where neither JSR nor npm answers: a folder that Deno
 * has filled once. The registry that filled it is gone before anything runs. The image is this machine,
 * read-only, with that folder.
 */
export async function makePodImage(stack: AsyncDisposableStack) {
  const { path } = stack.use(await tempDir("validmind-auth-pod-"));
  await Deno.chmod(path, 0o755);
  const [cache, deno] = [`${path}/deno-dir`, `${path}/deno`];
  await using registry = await startJsrRegistry();
  const names = MODULES.map((name) => `jsr:@validmind/auth${name}`);
  await mustRun([Deno.execPath(), "cache", "--no-config", ...names], { env: registry.env });
  await mustRun(["cp", "-aL", registry.env.DENO_DIR!, cache]);
  await mustRun(["chmod", "-R", "a+rX,a-w", cache]);
  await mustRun(["cp", Deno.execPath(), deno]); // what this process writes may be busy
  await Deno.chmod(deno, 0o755);
  const fixed = { ...registry.env, DENO_DIR: cache };
  return {
    /** The command line that runs a module there. */
    deno: [deno, "run", "-A", "--no-config", "--cached-only"],
    /** Runs code in a pod; gives the JSON that it prints. */
    async run<T>({ user, env, volumes = {}, code }: PodOptions): Promise<T> {
      await using own = await tempDir("validmind-auth-pod-");
      await Deno.chmod(own.path, 0o755);
      await Deno.mkdir(`${own.path}/root`);
      await Deno.writeTextFile(`${own.path}/script.ts`, code);
      const all = Object.entries({ ...env, ...fixed });
      const command = [
        ...["unshare", "--mount", "--propagation", "private"],
        ...["sh", "-ceu", mounts(own.path, volumes), "sh"],
        ...["chroot", `--userspec=${user.uid}:${user.groups[0]}`, `--groups=${user.groups}`],
        ...[`${own.path}/root`, "env", "-i", ...all.map(([name, value]) => `${name}=${value}`)],
        ...[...this.deno, `${own.path}/script.ts`],
      ];
      return JSON.parse(await mustRun(command, { timeoutMs: 60_000 }));
    },
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
