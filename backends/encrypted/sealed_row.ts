import { toBase64, toHex } from "../common/printable.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";

/** The format that this release writes and reads. */
const VERSION = 1;

/** NIST SP 800-38D: 96 bits, random, at most 2^32 times with one key. */
const NONCE_BYTES = 12;

/**
 * Limits for the iterations of PBKDF2. OWASP asks for `least`, which takes about 0.2 s. `most` is for
 * an option, and takes some seconds. `read` is for an entry of a store, which anybody may have
 * written to keep its readers busy: a key whose option asks for more reads as many as that.
 */
export const ITERATIONS = { least: 600_000, read: 2_000_000, most: 10_000_000 };

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export const KEY_BYTES = 32;
export const SALT_BYTES = 16;

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
  const header = { key_id: id, ...(derivation !== undefined && { pbkdf2: derivation }) };
  const text = ENCODER.encode(JSON.stringify(entry));
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
  const isSound = typeof sealed === "object" && sealed !== null && sealed.version === VERSION &&
    typeof sealed.key_id === "string" && isNonce(sealed.nonce) &&
    typeof sealed.ciphertext === "string" &&
    (sealed.pbkdf2 === undefined || isDerivation(sealed.pbkdf2));
  return isSound ? sealed as SealedEntry : undefined;
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
  const parameters = aesGcm(fromBase64(sealed.nonce)!, key, sealed);
  try {
    const text = await crypto.subtle.decrypt(parameters, aes, ciphertext);
    return JSON.parse(DECODER.decode(text));
  } catch {
    return undefined; // without the cause: it says nothing, or quotes the text
  }
}

/** The bytes of a base64 text in its one canonical form. */
export function fromBase64(text: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const bytes = decodeBase64(text);
    // Only whitespace can make a text longer: it has its padding.
    return text.length === Math.ceil(bytes.length / 3) * 4 ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Throws for a text without its padding, and for one with more bits than its bytes have. Node before
 * 25, and Deno before 2.5, have no `Uint8Array.fromBase64`.
 */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = Uint8Array.fromBase64?.(text, { lastChunkHandling: "strict" });
  if (native !== undefined) return native;
  const characters = atob(text);
  if (btoa(characters) !== text) throw new TypeError();
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}

/** Additional data, kept for the next read of the same entry. Nothing in it is secret. */
let last = { bound: "", additionalData: new Uint8Array() };

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
  if (last.bound !== bound) last = { bound, additionalData: ENCODER.encode(bound) };
  return { name: "AES-GCM", iv: nonce, additionalData: last.additionalData };
}

/** A text for so many bytes has no padding, and one form. */
function isNonce(value: unknown): boolean {
  return typeof value === "string" && /^[A-Za-z0-9+/]{16}$/.test(value);
}

function isDerivation(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { iterations, salt } = value as Partial<Derivation>;
  return isIterations(iterations) && fromBase64(salt)?.length === SALT_BYTES;
}

export function isIterations(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= ITERATIONS.least &&
    (value as number) <= ITERATIONS.most;
}

/**
 * Makes a key of 32 secret bytes. The key that encrypts and the id come from them by HKDF
 * ({@link https://www.rfc-editor.org/rfc/rfc5869 RFC 5869}), so that the id, which is stored in
 * clear, says nothing of the key. The bytes are wiped.
 */
export async function sealingKey(
  bytes: Uint8Array<ArrayBuffer>,
  id?: string,
  derivation?: Derivation,
): Promise<SealingKey> {
  const { subtle } = crypto;
  const root = await subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey", "deriveBits"]);
  bytes.fill(0);
  const form = { name: "AES-GCM", length: 256 };
  const [aes, name] = await Promise.all([
    subtle.deriveKey(hkdf("encryption"), root, form, false, ["encrypt", "decrypt"]),
    id ?? subtle.deriveBits(hkdf("key id"), root, 64).then((bits) => toHex(new Uint8Array(bits))),
  ]);
  return { id: name, aes, ...(derivation !== undefined && { derivation }) };
}

function hkdf(purpose: string): HkdfParams {
  const info = new TextEncoder().encode(`@validmind/auth ${purpose} 1`);
  return { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info };
}
