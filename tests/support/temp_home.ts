/** A folder that is removed, with all in it, when disposed. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

const HOME_VARIABLES = ["HOME", "USERPROFILE"];

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

/**
 * Runs `fn` with `HOME` and `USERPROFILE` pointing at an empty folder and without any `VM_*` variable.
 *
 * The environment belongs to the whole process: tests that use this in files run with
 * `deno test --parallel` must not rely on it. Prefer passing a path where the code under test takes one.
 */
export async function withTempHome<T>(fn: (home: string) => T | Promise<T>): Promise<T> {
  await using home = await tempDir();
  const names = Object.keys(Deno.env.toObject()).filter((name) => name.startsWith("VM_"));
  const saved = new Map([...HOME_VARIABLES, ...names].map((name) => [name, Deno.env.get(name)]));
  for (const name of names) Deno.env.delete(name);
  for (const name of HOME_VARIABLES) Deno.env.set(name, home.path);
  try {
    return await fn(home.path);
  } finally {
    for (const name of Object.keys(Deno.env.toObject())) {
      if (name.startsWith("VM_")) Deno.env.delete(name);
    }
    for (const [name, value] of saved) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

async function removeAll(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
