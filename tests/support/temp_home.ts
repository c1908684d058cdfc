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
      await Deno.remove(path, { recursive: true }).catch(leaveRemnant);
    },
  };
}

/** Runs `fn` with `HOME` and `USERPROFILE` pointing at an empty folder, in an {@linkcode OwnEnv}. */
export async function withTempHome<T>(fn: (home: string) => T | Promise<T>): Promise<T> {
  await using home = await tempDir();
  return await withEnv({ HOME: home.path, USERPROFILE: home.path }, () => fn(home.path));
}

/** Windows keeps databases open that the process has closed, and programs that run: they stay there. */
export function leaveRemnant(error: unknown): void {
  const isGone = error instanceof Deno.errors.NotFound;
  if (!isGone && Deno.build.os !== "windows") throw error;
}
