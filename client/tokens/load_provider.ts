/** Loaded where a person is asked. */
export const loadDialog = () => import("../sign_in/dialog.ts");

/** Loaded for a session that needs no person. */
export const loadUnattended = () => import("../provider/unattended_grants.ts");

/** Loaded where the provider is needed: a sign-out does without it. */
export async function loadProvider() {
  await loadCompiled();
  return await import("../provider/refresh_grant.ts");
}

/**
 * Loads a package by its file. Deno 2 keeps compiled code by file, and looks for that of a package
 * behind an `import()` by its name: each process would compile it anew, and keep it once more.
 */
async function loadCompiled(): Promise<void> {
  try {
    const url = import.meta.resolve("npm:oauth4webapi");
    if (url.startsWith("file:")) await import(url);
  } catch {
    // It is loaded by its name, more slowly.
  }
}
