import { invalidOptions } from "../common/check_options.ts";
import { isObject, parseObject } from "../common/json.ts";
import { listKeys } from "../common/read_backend.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** Entries stand under this address, so that docker's own logins are never listed or erased. */
const ADDRESS = "https://validmind-auth.invalid/";
/** The one answer, with exit code 1, that means "there is no such entry". */
export const NOT_FOUND = "credentials not found in native keychain";

const ACTION = "answer this helper's call";

/** Does an action of the protocol with a backend. Gives the text for standard output, which may be empty. */
export async function serve(
  backend: OidcCredentialsBackend,
  action: string | undefined,
  input: string,
) {
  if (action === "list") {
    const addresses = await Promise.all((await keysOf(backend)).map(addressOf));
    return JSON.stringify(Object.fromEntries(addresses.map((one) => [one, "validmind-auth"])));
  }
  const isStore = action === "store";
  const account = isStore ? parseObject(input) : { ServerURL: input.trim() };
  const { ServerURL, Secret } = Object(account);
  if (typeof ServerURL !== "string" || !ServerURL.startsWith(ADDRESS)) {
    throw invalidOptions(
      ACTION,
      `ServerURL does not begin with ${ADDRESS}`,
      "Give such an address.",
    );
  }
  if (isStore) {
    const row = rowIn(ServerURL, Secret);
    if (!row) {
      throw invalidOptions(ACTION, "Secret is not an entry in JSON", "Give one.");
    }
    await backend.put(row.key, row.entry);
    return "";
  }
  const key = await keyBehind(ServerURL, backend);
  if (action === "erase") {
    if (key !== undefined) await backend.delete(key);
    return "";
  }
  if (action !== "get") {
    throw invalidOptions(ACTION, "its action is not known", "Usage: get|store|erase|list");
  }
  if (key === undefined) return NOT_FOUND;
  const entry = await backend.get(key);
  if (!entry) return NOT_FOUND;
  return JSON.stringify(accountFor(key, ServerURL, entry));
}

/** The key of an address, which the backend has to list where the address has only its hash. */
async function keyBehind(
  address: string,
  backend: OidcCredentialsBackend,
) {
  const key = keyOf(address);
  if (key !== undefined) return key;
  for (const listed of await keysOf(backend)) {
    if (await addressOf(listed) === address) return listed;
  }
  return undefined;
}

async function keysOf(backend: OidcCredentialsBackend) {
  return await listKeys(backend, "Long keys need it. Implement list().");
}

/** `pass` makes a file name of an address in base64, which must not have more than 255 characters. */
const LONGEST_KEY = 100;

/** The `ServerURL` of a key. */
export async function addressOf(key: string) {
  const bytes = new TextEncoder().encode(key);
  if (bytes.length <= LONGEST_KEY) return `${ADDRESS}${toName(bytes)}`;
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return `${ADDRESS}.${toName(new Uint8Array(hash))}`;
}

function toName(bytes: Uint8Array) {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * The address in a line of a list; `undefined` for one of another program. The helper of the Secret
 * Service lists labels, which end with the address.
 */
export function addressIn(line: string): string | undefined {
  const at = line.indexOf(ADDRESS);
  return at === -1 ? undefined : line.slice(at);
}

/** The key in an address; `undefined` where the address has only its hash. */
export function keyOf(address: string): string | undefined {
  try {
    const bytes = Uint8Array.fromBase64(address.slice(ADDRESS.length), { alphabet: "base64url" });
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * What is stored for an entry. A long key stands beside the entry, since the address has only its hash. The
 * client is for people to see: `pass` makes a file of it, and folders of its slashes.
 */
export function accountFor(key: string, address: string, entry: OidcCredentials) {
  return {
    ServerURL: address,
    Username: encodeURIComponent(entry.client_id).slice(0, 60) || "-",
    Secret: JSON.stringify(keyOf(address) === undefined ? { key, entry } : entry),
  };
}

export interface Row {
  readonly key: string;
  readonly entry: OidcCredentials;
}

/** The entry in a secret, with its key; `undefined` where there is none. */
export function rowIn(address: string, secret: unknown): Row | undefined {
  const stored = parseObject(`${secret}`);
  if (!stored) return undefined;
  const short = keyOf(address);
  const { key, entry } = short === undefined ? stored : { key: short, entry: stored };
  if (typeof key !== "string" || !isObject(entry)) return undefined;
  return { key, entry: entry as OidcCredentials };
}
