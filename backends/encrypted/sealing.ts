import { fromBase64, toBase64, toHex } from "../common/bytes.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";

/** The format that this release writes and reads. */
const VERSION = 1;

/** NIST SP 800-38D: 96 bits, random, at most 2^32 times with one key. */
const NONCE_BYTES = 12;

/** OWASP asks for so many iterations of PBKDF2, which take about 0.2 s. */
const ITERATIONS = 600_000;

/** Anybody may have written to a store, to keep its readers busy. */
const MOST_ITERATIONS = 2_000_000;

const SALT_BYTES = 16;

export const KEY_BYTES = 32;

/** How a key came from a passphrase: PBKDF2 with HMAC-SHA-256. Nothing in it is secret. */
export interface Derivation {
  readonly iterations: number;
  /** Base64 of 16 bytes. */
  readonly salt: string;
}

/** A key ready for use, and the id by which entries name it. */
export interface SealingKey {
  /** Names the key, and says nothing else about it. */
  readonly id: string;
  /** AES-256-GCM; not extractable. */
  readonly aes: CryptoKey;
  /** How it came from a passphrase, if it did: stored with each entry. */
  readonly derivation?: Derivation;
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
  const header = { key_id: id, ...derivation && { pbkdf2: derivation } };
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
  const sealed: Partial<SealedEntry> = Object(row.encrypted);
  const { version, key_id, nonce, ciphertext, pbkdf2 } = sealed;
  if (version !== VERSION) return undefined;
  if (typeof key_id !== "string" || typeof ciphertext !== "string") return undefined;
  if (fromBase64(nonce)?.length !== NONCE_BYTES) return undefined;
  if (pbkdf2 !== undefined && !isDerivation(pbkdf2)) return undefined;
  return sealed as SealedEntry;
}

function isDerivation(pbkdf2: unknown) {
  const { iterations = 0, salt }: Partial<Derivation> = Object(pbkdf2);
  if (!Number.isSafeInteger(iterations)) return false;
  if (iterations < ITERATIONS || iterations > MOST_ITERATIONS) return false;
  return fromBase64(salt)?.length === SALT_BYTES;
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
  if (!ciphertext) return undefined;
  try {
    const parameters = aesGcm(fromBase64(sealed.nonce)!, key, sealed);
    const text = await crypto.subtle.decrypt(parameters, aes, ciphertext);
    return JSON.parse(new TextDecoder().decode(text));
  } catch {
    return undefined; // without the cause: it says nothing, or quotes the text
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
  const derivation = pbkdf2 ? [pbkdf2.iterations, pbkdf2.salt] : null;
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

/** A derivation with a salt of its own. */
export function newDerivation(): Derivation {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  return { iterations: ITERATIONS, salt: toBase64(salt) };
}

/** Derives a key from a passphrase. */
export async function derivedKey(root: CryptoKey, derivation: Derivation): Promise<SealingKey> {
  const { iterations, salt } = derivation;
  const form = { name: "PBKDF2", hash: "SHA-256", iterations, salt: fromBase64(salt)! };
  const bits = await crypto.subtle.deriveBits(form, root, KEY_BYTES * 8);
  return await sealingKey(new Uint8Array(bits), derivation);
}
