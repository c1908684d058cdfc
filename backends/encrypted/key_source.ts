import { assertCredentialsBackend } from "../common/describe_backend.ts";
import { fromBase64, toBase64 } from "../common/bytes.ts";
import { entryFrom } from "../common/read_backend.ts";
import { checkOptions, invalidOptions } from "../common/check_options.ts";
import { needEnv } from "../common/environment.ts";
import { isNotCapable } from "../common/permission.ts";
import { Once } from "../common/promises.ts";
import { readPrivateFile } from "../common/read_private_file.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { BackendPermission, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import {
  type Derivation,
  derivedKey,
  KEY_BYTES,
  newDerivation,
  type SealedEntry,
  type SealingKey,
  sealingKey,
} from "./sealing.ts";

/**
 * A key for the encryption of entries:
 *
 * | form | key |
 * |---|---|
 * | `Uint8Array` | these 32 random bytes, of which a copy is taken |
 * | `{ env: "MY_KEY" }` | 32 random bytes in that variable, as hex, base64 or base64url |
 * | `{ file: "/run/secrets/my-key" }` | the same in a file, such as a secret of Kubernetes or a credential of systemd |
 * | `{ passphrase }` | derived from a text, or from a variable: `{ env: "MY_PASSPHRASE" }` |
 * | `{ backend }` | random, made at the first write and kept in another backend, such as the OS keychain |
 *
 * Entries name their key by a fingerprint.
 *
 * @category Backends
 */
export type EncryptionKey =
  | Uint8Array
  | VariableKey
  | FileKey
  | PassphraseKeyOptions
  | StoredKeyOptions;

/**
 * A key in a variable, which is read at the first use.
 *
 * @category Backends
 */
export interface VariableKey {
  /** The variable with 32 random bytes as hex, base64 or base64url. */
  env: string;
}

/**
 * A key in a file, which is read at the first use. The file belongs to this user or to the superuser.
 * Others may not read it, except its group, and nobody else may write it.
 *
 * @category Backends
 */
export interface FileKey {
  /** The path of a file with 32 random bytes as hex, base64 or base64url. */
  file: string;
}

/**
 * A key that is derived with PBKDF2 (HMAC with SHA-256, 600,000 iterations) and a random salt, once
 * in a process. An entry that names more than 2,000,000 iterations is not read, since a planted entry
 * could keep its reader busy.
 *
 * @category Backends
 */
export interface PassphraseKeyOptions {
  /** At least 12 characters. A variable is read at the first use. */
  passphrase: string | { env: string };
}

/**
 * A random key in another backend.
 *
 * @category Backends
 */
export interface StoredKeyOptions {
  /**
   * The store of the key. It cannot be the store of the entries. Use a place that holds nothing else,
   * such as a keychain service of its own. If you clear all of that place, the key is lost.
   */
  backend: OidcCredentialsBackend;
}

export const ACTION = "create EncryptedCredentialsBackend";

/** Shorter passphrases can be guessed, however slow each guess is. */
const PASSPHRASE_LENGTH = 12;

/** The row of a key in a backend. */
const KEY_ROW = "encryption-key";

/** A new key cannot open the entries of an earlier one. */
const SAME_OR_NEW =
  "Give the key that sealed the stored entries. Where there are none, make one with: openssl rand -base64 32";

export interface KeySource {
  readonly backend?: OidcCredentialsBackend;
  /** Two sources with the same have the same keys; `undefined` where nothing but the key itself tells. */
  readonly identity?: string;
  /** `undefined` where the key's backend does not declare them. */
  readonly permissions: (() => BackendPermission[]) | undefined;
  /** The key to write with. */
  current(): Promise<SealingKey>;
  /** The only key from here that a sealed entry can name, if there is one. */
  keyFor(sealed: SealedEntry): Promise<SealingKey | undefined>;
}

/** Checks a key, and gives its source. `name` is its option. */
export function keySource(key: EncryptionKey, name: string): KeySource {
  if (key instanceof Uint8Array) return keyOfBytes(key, name);
  const { env, file, passphrase, backend }: Partial<
    VariableKey & FileKey & PassphraseKeyOptions & StoredKeyOptions
  > = Object(key);
  if (env !== undefined) {
    const read = () => {
      const text = needEnv(env, "read the encryption key", SAME_OR_NEW);
      return keyIn(text, `the variable ${env}`, "env_invalid");
    };
    return { ...fixedKey(read), ...ofVariable(env, name) };
  }
  if (file !== undefined) {
    checkOptions(ACTION, key, { file: "path" });
    const permissions = (): BackendPermission[] => [{ name: "read", path: file }];
    return { ...fixedKey(() => readKeyFile(file)), identity: file, permissions };
  }
  if (typeof passphrase === "string") {
    assertPassphrase(passphrase);
    return passphraseKey(() => passphrase);
  }
  if (passphrase !== undefined) {
    const advice = "Set it. Stored entries need the one that sealed them.";
    const read = () => needEnv(passphrase.env, "read the passphrase", advice);
    return { ...passphraseKey(read), ...ofVariable(passphrase?.env, name) };
  }
  if (backend === undefined) {
    throw invalidOptions(
      ACTION,
      `option "${name}" is not a key`,
      "Give 32 bytes, or one of env, file, passphrase, backend.",
    );
  }
  assertCredentialsBackend(backend, name);
  return storedKey(backend);
}

function keyOfBytes(key: Uint8Array, name: string): KeySource {
  if (!isRandom(key)) {
    const advice = "Give random ones, or a text as a passphrase.";
    throw invalidOptions(ACTION, `option "${name}" is not ${KEY_BYTES} random bytes`, advice);
  }
  const own = new Uint8Array(key); // the caller may wipe the original
  return fixedKey(() => own);
}

/** A source that reads a variable: what it needs, and its identity. */
function ofVariable(variable: unknown, name: string): Pick<KeySource, "identity" | "permissions"> {
  if (typeof variable === "string" && /^[A-Za-z_]\w*$/.test(variable)) {
    return { identity: `$${variable}`, permissions: () => [{ name: "env", variable }] };
  }
  throw invalidOptions(
    ACTION,
    `option "${name}" does not name a variable`,
    'Give { "env": "MY_KEY" }.',
  );
}

/** One key. Its bytes are read at the first use. */
function fixedKey(read: () => Uint8Array<ArrayBuffer>): KeySource {
  let key: Promise<SealingKey> | undefined;
  // A read that fails may succeed later. Bytes that were read are wiped, and not read again.
  const current = () => key ??= sealingKey(read());
  return {
    permissions: () => [],
    current,
    keyFor: async ({ pbkdf2 }) => pbkdf2 ? undefined : await current(),
  };
}

/** Keys from a passphrase: one for each salt, and each derived once in a process. */
function passphraseKey(read: () => string): KeySource {
  const secret = new Once<CryptoKey>(); // the variable may be gone later
  const derived = new Map<string, Once<SealingKey>>();
  /** The derivation to write with: one of an entry, so that a later start derives one key. */
  let current: Derivation | undefined;

  const importSecret = async () => {
    const text = read();
    assertPassphrase(text);
    // RFC 8265: one passphrase, however a keyboard composes its letters.
    const bytes = new TextEncoder().encode(text.normalize("NFC"));
    return await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
  };
  const derive = (derivation: Derivation) => {
    const name = `${derivation.iterations} ${derivation.salt}`;
    const key = derived.get(name) ?? new Once();
    derived.set(name, key);
    return key.get(async () => await derivedKey(await secret.get(importSecret), derivation));
  };
  return {
    permissions: () => [],
    current: () => derive(current ??= newDerivation()),
    keyFor: async ({ key_id, pbkdf2 }) => {
      const own = pbkdf2 && await derive(pbkdf2);
      if (own?.id === key_id) current ??= pbkdf2;
      return own;
    },
  };
}

/**
 * A random key in a backend, made at the first write under the lock of its row: two processes that make it at
 * the same time have one.
 */
function storedKey(backend: OidcCredentialsBackend): KeySource {
  let key: SealingKey | undefined;
  const making = new Once<SealingKey>();
  const read = async () => {
    const stored = entryFrom(backend, await backend.get(KEY_ROW));
    const bytes = fromBase64(stored?.encryption_key);
    if (bytes?.length === KEY_BYTES) key = await sealingKey(bytes);
    return key;
  };
  const readOrMake = async () => {
    const present = await read();
    if (present) return present;
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const encryption_key = toBase64(bytes);
    const names = { issuer: KEY_ROW, client_id: KEY_ROW, access_token: "" };
    await backend.put(KEY_ROW, { ...names, encryption_key });
    return key = await sealingKey(bytes);
  };
  const underLock = async () => await (backend.withLock?.(KEY_ROW, readOrMake) ?? readOrMake());
  return {
    backend,
    identity: backend.storeId,
    permissions: backend.requiredPermissions?.bind(backend),
    // A key that is there needs no lock: it may be one that this program can only read.
    current: async () => key ?? await read() ?? await making.get(underLock),
    async keyFor({ key_id, pbkdf2 }) {
      if (pbkdf2) return undefined;
      if (key?.id !== key_id) await read(); // another process may have made a new one
      return key;
    },
  };
}

function readKeyFile(path: string) {
  const text = readPrivateFile(path, {
    what: "a key",
    forbiddenMode: 0o027, // a platform may give the file to a group
    fail: (reason, remedy, cause) => {
      const code = isNotCapable(cause) ? "permission_required" : "invalid_options";
      const action = `read the encryption key from ${path}`;
      return new CredentialsBackendError(code, { action, reason, remedy });
    },
  });
  return keyIn(text, path, "invalid_options");
}

/** The 32 bytes in a text. */
function keyIn(text: string, place: string, code: CredentialsBackendErrorCode) {
  const bytes = bytesIn(text.trim());
  if (bytes && isRandom(bytes)) return bytes;
  throw new CredentialsBackendError(code, {
    action: `read the encryption key from ${place}`,
    reason: `it is not ${KEY_BYTES} random bytes in hex, base64 or base64url`,
    remedy: SAME_OR_NEW,
  });
}

/** The bytes of a text in hex, base64 or base64url. Its length tells the form. */
function bytesIn(text: string) {
  if (/^[0-9a-f]{64}$/i.test(text)) {
    return Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16));
  }
  if (!/^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text)) return undefined;
  return fromBase64(`${text.slice(0, 43).replaceAll("-", "+").replaceAll("_", "/")}=`);
}

/** Neither short, nor repeated, nor a text: no random generator gives such bytes in a lifetime. */
function isRandom(bytes: Uint8Array) {
  return bytes.length === KEY_BYTES && new Set(bytes).size >= KEY_BYTES / 2 &&
    !bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
}

function assertPassphrase(text: unknown): asserts text is string {
  if (typeof text === "string" && text.length >= PASSPHRASE_LENGTH) return;
  const reason = `the passphrase has fewer than ${PASSPHRASE_LENGTH} characters`;
  throw invalidOptions(
    "encrypt credentials",
    reason,
    "Take a longer one, such as six random words.",
  );
}
