/** The programs that `deno task servers` gets. */
export type ServerName = GoServerName | "denokv" | "keycloak" | NpmProgram;

/** Programs that npm has. */
export type NpmProgram = "old-deno" | "node" | "bun" | "typescript";

/** Those whose sources are in this folder. */
export type GoServerName =
  | "vault"
  | "zitadel"
  | "docker-credential-pass"
  | "docker-credential-secretservice"
  | "client-go-exec";

/** By cargo; needs at least 12 characters for the access token. */
export const DENOKV_VERSION = "0.14.0";

/** From Maven Central; needs Java 17. */
export const KEYCLOAK_VERSION = "26.7.3";

/** From npm; the oldest Deno that this module runs on. */
export const OLD_DENO_VERSION = "2.7.1";

/** From npm; the oldest Node that this module runs on. */
export const NODE_VERSION = "24.21.0";

/** From npm. */
export const BUN_VERSION = "1.4.5";

/** From npm. */
export const TYPESCRIPT_VERSION = "5.9.3";
/** From npm; for programs that TypeScript checks. */
export const NODE_TYPES_VERSION = "24.19.4";
/** See {@linkcode NODE_TYPES_VERSION}. */
export const DENO_TYPES_VERSION = "2.7.0";

const VERSIONS: Partial<Record<ServerName, string>> = {
  denokv: DENOKV_VERSION,
  keycloak: KEYCLOAK_VERSION,
  "old-deno": OLD_DENO_VERSION,
  node: NODE_VERSION,
  bun: BUN_VERSION,
  typescript: `${TYPESCRIPT_VERSION}-node-${NODE_TYPES_VERSION}-deno-${DENO_TYPES_VERSION}`,
};

const GO_SOURCES: Record<GoServerName, readonly string[]> = {
  vault: ["main.go", "builtin.go", "go.mod", "go.sum"],
  "docker-credential-pass": ["main.go", "go.mod", "go.sum"],
  "docker-credential-secretservice": ["main.go", "go.mod", "go.sum"],
  "client-go-exec": ["main.go", "go.mod", "go.sum"],
  zitadel: ["main.go", "models.go", "provider.go", "store.go", "tokens.go", "go.mod", "go.sum"],
};
/** Kept from the start: a test may change HOME for as long as it runs. */
const CACHE = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;

/** Where a server's binary or folder lies, or would lie: its sources or version are part of the path. */
export async function serverPath(name: ServerName): Promise<string> {
  const version = VERSIONS[name] ?? await sourcesHash(name as GoServerName);
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

async function sourcesHash(name: GoServerName): Promise<string> {
  const folder = new URL(`${name}/`, import.meta.url);
  const sources = await Promise.all(
    GO_SOURCES[name].map((file) => Deno.readTextFile(new URL(file, folder))),
  );
  const bytes = new TextEncoder().encode(sources.join("\0"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex().slice(0, 16);
}
