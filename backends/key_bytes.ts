import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { readEnv } from "./read_env.ts";
import { fromBase64 } from "./sealed_row.ts";
import { KEY_BYTES } from "./sealing_key.ts";

/** How a person makes a key. */
const MAKE_ONE = "Make one with: openssl rand -base64 32";

/**
 * The 32 bytes in a variable, as hex, base64 or base64url: which one its length tells.
 *
 * @throws {CredentialsBackendError} `permission_required`, `env_unset`, `env_invalid`.
 */
export function readKeyVariable(name: string): Uint8Array<ArrayBuffer> {
  const text = readEnv(name, "read the encryption key")?.trim();
  if (!text) throw unset(name, MAKE_ONE);
  const bytes = decode(text);
  if (bytes !== undefined && weakness(bytes) === undefined) return bytes;
  throw new CredentialsBackendError(
    "env_invalid",
    `Cannot read the encryption key from the variable ${name}: it is not ${KEY_BYTES} random bytes ` +
      `in hex, base64 or base64url. ${MAKE_ONE}`,
  );
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Uint8Array.fromHex(text);
  const [, digits] = /^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.exec(text) ?? [];
  return digits && fromBase64(`${digits.replaceAll("-", "+").replaceAll("_", "/")}=`) || undefined;
}

/**
 * The passphrase in a variable.
 *
 * @throws {CredentialsBackendError} `permission_required`, `env_unset`.
 */
export function readPassphraseVariable(name: string): string {
  const text = readEnv(name, "read the passphrase");
  if (text !== undefined) return text;
  throw unset(name, "Set it, or give another key.");
}

/** Why bytes are no key: what no generator of random bytes gives in the lifetime of the universe. */
export function weakness(bytes: Uint8Array): string | undefined {
  if (bytes.length !== KEY_BYTES) return `it has ${bytes.length} bytes, not ${KEY_BYTES}`;
  if (new Set(bytes).size < KEY_BYTES / 2) return "its bytes repeat, so they are not random";
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? "it is text, not random bytes: give text as a passphrase" : undefined;
}

function unset(name: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "env_unset",
    `Cannot read the encryption key: the variable ${name} is not set. ${advice}`,
  );
}
