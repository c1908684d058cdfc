/** The servers that `deno task servers` builds. */
export type ServerName = "vault" | "denokv";

/** By cargo; needs at least 12 characters for the access token. */
export const DENOKV_VERSION = "0.14.0";

const VAULT_SOURCES = ["main.go", "builtin.go", "go.mod", "go.sum"];
const VAULT_FOLDER = new URL("vault/", import.meta.url);
/** Kept from the start: a test may change HOME for as long as it runs. */
const CACHE = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;

/** Where a server's binary lies, or would lie: its sources or version are part of the path. */
export async function serverPath(name: ServerName): Promise<string> {
  const version = name === "denokv" ? DENOKV_VERSION : await vaultHash();
  return `${CACHE}/validmind-auth/servers/${name}-${version}/${name}`;
}

/**
 * The path of a server's binary.
 *
 * @throws {Error} If it was not built yet.
 */
export async function serverBinary(name: ServerName): Promise<string> {
  const path = await serverPath(name);
  if (await isThere(path)) return path;
  throw new Error(`Cannot start ${name}: there is no ${path}. Run \`deno task servers\`.`);
}

/** Tells whether there is something at a path. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Tells whether there is such a program. */
export async function isOnPath(program: string): Promise<boolean> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (folder !== "" && await isThere(`${folder}/${program}`)) return true;
  }
  return false;
}

async function vaultHash(): Promise<string> {
  const sources = await Promise.all(
    VAULT_SOURCES.map((name) => Deno.readTextFile(new URL(name, VAULT_FOLDER))),
  );
  const bytes = new TextEncoder().encode(sources.join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex().slice(0, 16);
}
