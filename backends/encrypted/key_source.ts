import { entryFrom, locationOf } from "../common/describe_backend.ts";
import { Once } from "../common/promises.ts";
import { printable, toBase64 } from "../common/printable.ts";
import { readEnv } from "../common/platform.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";
import {
  type Derivation,
  fromBase64,
  ITERATIONS,
  KEY_BYTES,
  SALT_BYTES,
  type SealedEntry,
  type SealingKey,
  sealingKey,
} from "./sealed_row.ts";

/** Shorter ones can be guessed, however slow each guess is. */
const PASSPHRASE_LENGTH = 12;

/** The row that names the key to write with. */
const CURRENT = "encryption-key";

/** A store whose entries name more derivations than this is odd. The oldest ones are made anew. */
const KEPT_DERIVATIONS = 32;

const MAKE_ONE = "Make one with: openssl rand -base64 32";

export interface KeySource {
  readonly backend?: OidcCredentialsBackend;
  /** The key to write with. `beforeNew` runs before a new key is made, and may refuse. */
  current(beforeNew: () => Promise<void>): Promise<SealingKey>;
  /** The key of a sealed entry, if it is from here. */
  find(sealed: SealedEntry): Promise<SealingKey | undefined>;
  /** Learns whether the key that it found has opened the entry. */
  settle?(sealed: SealedEntry, isOpened: boolean): void;
  /** Makes a new key and writes with it from now on. The earlier keys stay, for their entries. */
  renew?(): Promise<unknown>;
}

/** One key. Its bytes are read at the first use. */
export function fixedKey(read: () => Uint8Array<ArrayBuffer>, id: string | undefined): KeySource {
  let key: Promise<SealingKey> | undefined;
  // A read that fails may succeed later. Bytes that were read are wiped, and not read again.
  const current = () => key ??= sealingKey(read(), id);
  return {
    current,
    async find({ key_id, pbkdf2 }) {
      if (pbkdf2 !== undefined || (id !== undefined && id !== key_id)) return undefined;
      const key = await current();
      return key.id === key_id ? key : undefined;
    },
  };
}

/** Keys from a passphrase: one for each salt, and each derived once in a process. */
export function passphraseKey(
  read: () => MaybePromise<string>,
  iterations: number,
  id: string | undefined,
): KeySource {
  /** The passphrase, in a form that does not give it back. */
  const secret = new Once<CryptoKey>();
  const derived = new Map<string, Promise<SealingKey>>();
  /** Whether the passphrase has opened or sealed an entry. If not, it is asked for again. */
  let isProven = false;
  /** The derivation to write with: one of an opened entry, so that a later start derives one key. */
  let current: Derivation | undefined;

  const derive = (derivation: Derivation): Promise<SealingKey> => {
    const name = `${derivation.iterations} ${derivation.salt}`;
    let key = derived.get(name);
    if (key === undefined) {
      key = secret.get(() => importPassphrase(read)).then((secret) =>
        deriveKey(secret, derivation, id)
      );
      derived.set(name, key);
      key.catch(() => derived.delete(name));
      const [oldest] = derived.keys();
      if (derived.size > KEPT_DERIVATIONS) derived.delete(oldest!);
    }
    return key;
  };
  const doubt = () => {
    if (isProven) return;
    secret.forget();
    derived.clear();
  };

  return {
    async current() {
      const salt = () => toBase64(crypto.getRandomValues(new Uint8Array(SALT_BYTES)));
      const key = await derive(current ??= { iterations, salt: salt() });
      isProven = true;
      return key;
    },
    async find({ key_id, pbkdf2 }) {
      if (pbkdf2 === undefined || (id !== undefined && id !== key_id)) return undefined;
      if (pbkdf2.iterations > Math.max(iterations, ITERATIONS.read)) return undefined;
      const key = await derive(pbkdf2);
      if (key.id === key_id) return key;
      doubt();
      return undefined;
    },
    settle({ pbkdf2 }, isOpened) {
      // The id may be the caller's, so that only an opened entry proves its salt.
      if (!isOpened) return doubt();
      isProven = true;
      if (pbkdf2!.iterations >= iterations) current ??= pbkdf2!;
    },
  };
}

async function importPassphrase(read: () => MaybePromise<string>): Promise<CryptoKey> {
  const text = await read();
  assertPassphrase(text);
  // RFC 8265: one passphrase, however a keyboard composes its letters.
  const bytes = new TextEncoder().encode(text.normalize("NFC"));
  return await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
}

async function deriveKey(
  secret: CryptoKey,
  derivation: Derivation,
  id: string | undefined,
): Promise<SealingKey> {
  const { iterations, salt } = derivation;
  const bits = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", iterations, salt: fromBase64(salt)! },
    secret,
    KEY_BYTES * 8,
  );
  return await sealingKey(new Uint8Array(bits), id, derivation);
}

/**
 * Random keys in a backend. The first one is made where it is needed. Each key has a row of its own:
 * where two processes make one at the same time, both stay, and each entry names its key.
 */
export function storedKey(backend: OidcCredentialsBackend): KeySource {
  const keys = new Map<string, SealingKey>();
  const current = new Once<SealingKey>();

  const read = async (id: string): Promise<SealingKey | undefined> => {
    const known = keys.get(id);
    if (known !== undefined) return known;
    if (!/^[0-9a-f]{16}$/.test(id)) return undefined; // from an entry, which anybody may have changed
    const stored = entryFrom(backend, await backend.get(rowName(id)));
    const bytes = fromBase64(stored?.encryption_key);
    if (bytes?.length !== KEY_BYTES) return undefined;
    const key = await sealingKey(bytes);
    if (key.id !== id) return undefined; // damaged, or another key's row
    keys.set(id, key);
    return key;
  };
  const make = async (): Promise<SealingKey> => {
    const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const text = toBase64(bytes);
    const { id } = await sealingKey(bytes);
    await backend.put(rowName(id), row({ encryption_key: text }));
    const key = await read(id);
    if (key === undefined) {
      throw new CredentialsBackendError(
        "backend_unproven",
        `Cannot keep an encryption key in ${
          printable(locationOf(backend) ?? "the backend for it")
        }: ` +
          `the key that was written did not come back the same. Nothing was encrypted with it. ` +
          `Repair that backend, or use another.`,
      );
    }
    await backend.put(CURRENT, row({ key_id: id }));
    return key;
  };
  const readCurrent = async (beforeNew: () => Promise<void>): Promise<SealingKey> => {
    const id = entryFrom(backend, await backend.get(CURRENT))?.key_id;
    const key = typeof id === "string" ? await read(id) : undefined;
    if (key !== undefined) return key;
    await beforeNew();
    return await make();
  };

  return {
    backend,
    current: (beforeNew) => current.get(() => readCurrent(beforeNew)),
    find: async ({ key_id, pbkdf2 }) => pbkdf2 === undefined ? await read(key_id) : undefined,
    renew: () => current.keep(make()),
  };
}

function rowName(id: string): string {
  return `${CURRENT}|${id}`;
}

function row(fields: Record<string, string>): OidcCredentials {
  return { issuer: CURRENT, client_id: CURRENT, access_token: "", ...fields };
}

/** The 32 bytes in a variable, as hex, base64 or base64url. The length of the text tells the form. */
export function readKeyVariable(name: string): Uint8Array<ArrayBuffer> {
  const text = readEnv(name, "read the encryption key")?.trim();
  if (!text) throw unsetKeyError(name, MAKE_ONE);
  const bytes = decodeKey(text);
  if (bytes !== undefined && weakness(bytes) === undefined) return bytes;
  throw new CredentialsBackendError(
    "env_invalid",
    `Cannot read the encryption key from the variable ${name}: it is not ${KEY_BYTES} random bytes ` +
      `in hex, base64 or base64url. ${MAKE_ONE}`,
  );
}

function decodeKey(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) {
    return Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16));
  }
  const [, digits] = /^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.exec(text) ?? [];
  return digits && fromBase64(`${digits.replaceAll("-", "+").replaceAll("_", "/")}=`) || undefined;
}

export function readPassphraseVariable(name: string): string {
  const text = readEnv(name, "read the passphrase");
  if (text !== undefined) return text;
  throw unsetKeyError(name, "Set it, or give another key.");
}

/** The reason why bytes are no key: no random generator gives such bytes in a lifetime. */
export function weakness(bytes: Uint8Array): string | undefined {
  if (bytes.length !== KEY_BYTES) return `it has ${bytes.length} bytes, not ${KEY_BYTES}`;
  if (new Set(bytes).size < KEY_BYTES / 2) return "its bytes repeat, so they are not random";
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText ? "it is text, not random bytes: give text as a passphrase" : undefined;
}

function unsetKeyError(name: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "env_unset",
    `Cannot read the encryption key: the variable ${name} is not set. ${advice}`,
  );
}

export function assertPassphrase(text: unknown): asserts text is string {
  if (typeof text === "string" && text.length >= PASSPHRASE_LENGTH) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot encrypt credentials: the passphrase has fewer than ${PASSPHRASE_LENGTH} characters. ` +
      `Take a longer one, such as six random words.`,
  );
}
