import { assertCredentialsBackend } from "../common/assert_backend.ts";
import { toBase64, toHex } from "../common/bytes.ts";
import { entryFrom } from "../common/entry_from.ts";
import { readEnv } from "../common/environment.ts";
import { Once } from "../common/promises.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";

/** The format that this release writes and reads. */
const VERSION = 1;

/** NIST SP 800-38D: 96 bits, random, at most 2^32 times with one key. */
const NONCE_BYTES = 12;

/** OWASP asks for so many iterations of PBKDF2, which take about 0.2 s. */
const ITERATIONS = 600_000;

/** Anybody may have written to a store, to keep its readers busy. */
const MOST_ITERATIONS = 2_000_000;

const SALT_BYTES = 16;

/** How a key came from a passphrase: PBKDF2 with HMAC-SHA-256. Nothing in it is secret. */
interface Derivation {
  readonly iterations: number;
  /** Base64 of 16 bytes. */
  readonly salt: string;
}

/** A key ready for use, and the id by which entries name it. */
interface SealingKey {
  /** Names the key, and says nothing else about it. */
  readonly id: string;
  /** AES-256-GCM; not extractable. */
  readonly aes: CryptoKey;
  /** How it came from a passphrase, if it did: stored with each entry. */
  readonly derivation?: Derivation | undefined;
}

export interface SealedEntry {
  readonly version: typeof VERSION;
  readonly key_id: string;
  readonly nonce: string;
  readonly ciphertext: string;
  readonly pbkdf2?: Derivation;
}

/**
 * Encrypts an entry for one credential key. The result is an entry that any store holds: without a
 * token, and expired in 1970, so that a program that does not know the format finds nothing to use.
 */
export async function sealRow(
  key: string,
  entry: OidcCredentials,
  { id, aes, derivation }: SealingKey,
): Promise<OidcCredentials> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const header = { key_id: id, ...(derivation !== undefined && { pbkdf2: derivation }) };
  const text = new TextEncoder().encode(JSON.stringify(entry));
  const ciphertext = await crypto.subtle.encrypt(aesGcm(nonce, key, header), aes, text);
  const encrypted: SealedEntry = {
    version: VERSION,
    ...header,
    nonce: toBase64(nonce),
    ciphertext: toBase64(new Uint8Array(ciphertext)),
  };
  return {
    issuer: "encrypted",
    client_id: "encrypted",
    access_token: "",
    expires_at: "1970-01-01T00:00:00.000Z",
    encrypted,
  };
}

/** The sealed part of a row; `undefined` when it is damaged, or of another version. */
export function sealedIn(row: OidcCredentials): SealedEntry | undefined {
  const sealed = row.encrypted as Partial<SealedEntry> | null | undefined;
  const { version, key_id, nonce, ciphertext, pbkdf2 } = sealed ?? {};
  const isSound = version === VERSION && typeof key_id === "string" &&
    fromBase64(nonce)?.length === NONCE_BYTES && typeof ciphertext === "string" &&
    (pbkdf2 === undefined || isDerivation(pbkdf2));
  return isSound ? sealed as SealedEntry : undefined;
}

function isDerivation(pbkdf2: Partial<Derivation> | null): boolean {
  const iterations = Number.isSafeInteger(pbkdf2?.iterations) ? pbkdf2!.iterations! : 0;
  return iterations >= ITERATIONS && iterations <= MOST_ITERATIONS &&
    fromBase64(pbkdf2!.salt)?.length === SALT_BYTES;
}

/**
 * Decrypts an entry. `undefined`: the key is another one, or anything that was sealed or is bound to
 * it has changed. AES-GCM does not tell which.
 */
export async function openSealed(
  key: string,
  sealed: SealedEntry,
  { aes }: SealingKey,
): Promise<OidcCredentials | undefined> {
  const ciphertext = fromBase64(sealed.ciphertext);
  if (ciphertext === undefined) return undefined;
  try {
    const parameters = aesGcm(fromBase64(sealed.nonce)!, key, sealed);
    const text = await crypto.subtle.decrypt(parameters, aes, ciphertext);
    return JSON.parse(new TextDecoder().decode(text));
  } catch {
    return undefined; // without the cause: it says nothing, or quotes the text
  }
}

/** The bytes of a base64 text in its one canonical form. */
export function fromBase64(text: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== "string") return undefined;
  try {
    // Node before 25 has no `Uint8Array.fromBase64`.
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return toBase64(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The parameters of AES-GCM. The additional data binds the unencrypted parts to the ciphertext: an
 * entry does not decrypt under another credential key, or with another version, key id or derivation.
 * A JSON array has one meaning for its bytes.
 */
function aesGcm(
  nonce: Uint8Array<ArrayBuffer>,
  key: string,
  { key_id, pbkdf2 }: Pick<SealedEntry, "key_id" | "pbkdf2">,
): AesGcmParams {
  const derivation = pbkdf2 === undefined ? null : [pbkdf2.iterations, pbkdf2.salt];
  const bound = JSON.stringify(["@validmind/auth", VERSION, key_id, derivation, key]);
  return { name: "AES-GCM", iv: nonce, additionalData: new TextEncoder().encode(bound) };
}

/**
 * Makes a key of 32 secret bytes. The key that encrypts and the id come from them by HKDF
 * ({@link https://www.rfc-editor.org/rfc/rfc5869 RFC 5869}), so that the id, which is stored in
 * clear, says nothing of the key. The bytes are wiped.
 */
export async function sealingKey(
  bytes: Uint8Array<ArrayBuffer>,
  derivation?: Derivation,
): Promise<SealingKey> {
  const { subtle } = crypto;
  const root = await subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey", "deriveBits"]);
  bytes.fill(0);
  const form = { name: "AES-GCM", length: 256 };
  const [aes, id] = await Promise.all([
    subtle.deriveKey(hkdf("encryption"), root, form, false, ["encrypt", "decrypt"]),
    subtle.deriveBits(hkdf("key id"), root, 64),
  ]);
  return { id: toHex(new Uint8Array(id)), aes, derivation };
}

function hkdf(purpose: string): HkdfParams {
  const info = new TextEncoder().encode(`@validmind/auth ${purpose} 1`);
  return { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info };
}

/**
 * A key for the encryption of entries:
 *
 * | form | key |
 * |---|---|
 * | `Uint8Array` | these 32 random bytes, of which a copy is taken |
 * | `{ env: "MY_KEY" }` | 32 random bytes in that variable, as hex, base64 or base64url |
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

const KEY_BYTES = 32;

/** Shorter passphrases can be guessed, however slow each guess is. */
const PASSPHRASE_LENGTH = 12;

/** The row that names the key to write with. */
const CURRENT = "encryption-key";

const MAKE_ONE = "Make one with: openssl rand -base64 32";

export interface KeySource {
  readonly backend?: OidcCredentialsBackend;
  /** `undefined` where the key's backend does not declare them. */
  readonly permissions: (() => BackendPermission[]) | undefined;
  /** The key to write with. */
  current(): Promise<SealingKey>;
  /** The key to try for a sealed entry, if one can be from here. */
  keyFor(sealed: SealedEntry): Promise<SealingKey | undefined>;
  /** Learns that that key has opened the entry. */
  settle?(sealed: SealedEntry): void;
}

/** Checks a key, and gives its source. `name` is its option. */
export function keySource(key: EncryptionKey, name: string): KeySource {
  if (key instanceof Uint8Array) {
    if (!isRandom(key)) {
      const advice = "Give random ones, or a text as a passphrase.";
      throw keyOptionError(`option "${name}" is not ${KEY_BYTES} random bytes`, advice);
    }
    const own = new Uint8Array(key); // the caller may wipe the original
    return fixedKey(() => own, []);
  }
  const { env, passphrase, backend }: Partial<
    VariableKey & PassphraseKeyOptions & StoredKeyOptions
  > = Object(key);
  if (env !== undefined) {
    return fixedKey(() => readKeyVariable(env), variablePermissions(env, name));
  }
  if (passphrase !== undefined) return passphraseKey(passphrase, name);
  if (backend === undefined) {
    throw keyOptionError(
      `option "${name}" is not a key`,
      "Give 32 bytes, or one of env, passphrase, backend.",
    );
  }
  assertCredentialsBackend(backend, name);
  return storedKey(backend);
}

/** One key. Its bytes are read at the first use. */
function fixedKey(
  read: () => Uint8Array<ArrayBuffer>,
  permissions: BackendPermission[],
): KeySource {
  let key: Promise<SealingKey> | undefined;
  // A read that fails may succeed later. Bytes that were read are wiped, and not read again.
  const current = () => key ??= sealingKey(read());
  return {
    permissions: () => permissions,
    current,
    keyFor: async ({ pbkdf2 }) => pbkdf2 === undefined ? await current() : undefined,
  };
}

/** Keys from a passphrase: one for each salt, and each derived once in a process. */
function passphraseKey(passphrase: PassphraseKeyOptions["passphrase"], name: string): KeySource {
  const isText = typeof passphrase === "string";
  if (isText) assertPassphrase(passphrase);
  const permissions = isText ? [] : variablePermissions(passphrase?.env, name);
  const read = () =>
    isText
      ? passphrase
      : readVariable(passphrase.env, "read the passphrase", "Set it, or give another key.");
  const secret = new Once<CryptoKey>(); // the variable may be gone later
  const derived = new Map<string, Once<SealingKey>>();
  /** The derivation to write with: one of an opened entry, so that a later start derives one key. */
  let current: Derivation | undefined;

  const derive = (derivation: Derivation): Promise<SealingKey> => {
    const name = `${derivation.iterations} ${derivation.salt}`;
    const key = derived.get(name) ?? new Once();
    derived.set(name, key);
    return key.get(async () => {
      const root = await secret.get(() => importPassphrase(read()));
      const { iterations, salt } = derivation;
      const form = { name: "PBKDF2", hash: "SHA-256", iterations, salt: fromBase64(salt)! };
      const bits = await crypto.subtle.deriveBits(form, root, KEY_BYTES * 8);
      return await sealingKey(new Uint8Array(bits), derivation);
    });
  };
  return {
    permissions: () => permissions,
    async current() {
      const salt = () => toBase64(crypto.getRandomValues(new Uint8Array(SALT_BYTES)));
      return await derive(current ??= { iterations: ITERATIONS, salt: salt() });
    },
    keyFor: async ({ pbkdf2 }) => pbkdf2 && await derive(pbkdf2),
    settle: ({ pbkdf2 }) => void (current ??= pbkdf2),
  };
}

async function importPassphrase(text: string): Promise<CryptoKey> {
  assertPassphrase(text);
  // RFC 8265: one passphrase, however a keyboard composes its letters.
  const bytes = new TextEncoder().encode(text.normalize("NFC"));
  return await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
}

/**
 * Random keys in a backend. The first one is made where it is needed. Each key has a row of its own:
 * where two processes make one at the same time, both stay, and each entry names its key.
 */
function storedKey(backend: OidcCredentialsBackend): KeySource {
  const keys = new Map<string, SealingKey>();
  const current = new Once<SealingKey>();
  const read = async (id: unknown): Promise<SealingKey | undefined> => {
    // The id is from an entry, which may have been tampered with.
    if (typeof id !== "string" || !/^[0-9a-f]{16}$/.test(id)) return undefined;
    const known = keys.get(id);
    if (known !== undefined) return known;
    const stored = entryFrom(backend, await backend.get(`${CURRENT}|${id}`));
    const bytes = fromBase64(stored?.encryption_key);
    if (bytes?.length !== KEY_BYTES) return undefined;
    const key = await sealingKey(bytes);
    if (key.id !== id) return undefined; // damaged, or another key's row
    keys.set(id, key);
    return key;
  };
  const readOrMake = async (): Promise<SealingKey> => {
    const present = await read(entryFrom(backend, await backend.get(CURRENT))?.key_id);
    if (present !== undefined) return present;
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const encryption_key = toBase64(bytes);
    const key = await sealingKey(bytes);
    await backend.put(`${CURRENT}|${key.id}`, row({ encryption_key }));
    await backend.put(CURRENT, row({ key_id: key.id }));
    return key;
  };
  return {
    backend,
    permissions: backend.requiredPermissions?.bind(backend),
    current: () => current.get(readOrMake),
    keyFor: async ({ key_id, pbkdf2 }) => pbkdf2 === undefined ? await read(key_id) : undefined,
  };
}

function row(fields: Record<string, string>): OidcCredentials {
  return { issuer: CURRENT, client_id: CURRENT, access_token: "", ...fields };
}

function variablePermissions(variable: unknown, name: string): BackendPermission[] {
  if (typeof variable === "string" && /^[A-Za-z_]\w*$/.test(variable)) {
    return [{ name: "env", variable }];
  }
  throw keyOptionError(`option "${name}" does not name a variable`, 'Give { "env": "MY_KEY" }.');
}

/** The 32 bytes in a variable, as hex, base64 or base64url. The length of the text tells the form. */
function readKeyVariable(name: string): Uint8Array<ArrayBuffer> {
  const text = readVariable(name, "read the encryption key", MAKE_ONE).trim();
  const bytes = /^[0-9a-f]{64}$/i.test(text)
    ? Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16))
    : /^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text)
    ? fromBase64(`${text.slice(0, 43).replaceAll("-", "+").replaceAll("_", "/")}=`)
    : undefined;
  if (bytes !== undefined && isRandom(bytes)) return bytes;
  throw new CredentialsBackendError("env_invalid", {
    action: `read the encryption key from the variable ${name}`,
    reason: `it is not ${KEY_BYTES} random bytes in hex, base64 or base64url`,
    remedy: MAKE_ONE,
  });
}

function readVariable(name: string, purpose: string, advice: string): string {
  const text = readEnv(name, purpose);
  if (text !== undefined) return text;
  throw new CredentialsBackendError("env_unset", {
    action: purpose,
    reason: `the variable ${name} is not set`,
    remedy: advice,
  });
}

/** Neither short, nor repeated, nor a text: no random generator gives such bytes in a lifetime. */
function isRandom(bytes: Uint8Array): boolean {
  return bytes.length === KEY_BYTES && new Set(bytes).size >= KEY_BYTES / 2 &&
    !bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
}

function assertPassphrase(text: unknown): asserts text is string {
  if (typeof text === "string" && text.length >= PASSPHRASE_LENGTH) return;
  throw new CredentialsBackendError("invalid_options", {
    action: "encrypt credentials",
    reason: `the passphrase has fewer than ${PASSPHRASE_LENGTH} characters`,
    remedy: "Take a longer one, such as six random words.",
  });
}

export function keyOptionError(reason: string, remedy: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", { action: ACTION, reason, remedy });
}
