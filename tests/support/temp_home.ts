import { withEnv } from "./own_env.ts";

/** A folder that is removed, with all in it, when disposed. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

/** Makes a temporary folder; its path has no symbolic link in it. */
export async function tempDir(prefix = "validmind-auth-"): Promise<TempDir> {
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix }));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await removeAll(path);
    },
  };
}

/** Runs `fn` with `HOME` and `USERPROFILE` pointing at an empty folder, in an {@linkcode OwnEnv}. */
export async function withTempHome<T>(fn: (home: string) => T | Promise<T>): Promise<T> {
  await using home = await tempDir();
  return await withEnv({ HOME: home.path, USERPROFILE: home.path }, () => fn(home.path));
}

async function removeAll(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || await holdsProgram(path)) return;
    throw error;
  }
}

/** Whether it was Deno's folder, into which it links its program. Windows removes none that runs. */
async function holdsProgram(path: string): Promise<boolean> {
  if (Deno.build.os !== "windows") return false;
  return await Deno.stat(`${path}/node_compat_bin`).then(() => true, () => false);
}
