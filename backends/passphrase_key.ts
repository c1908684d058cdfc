import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { KeySource } from "./key_source.ts";
import type { MaybePromise } from "./oidc_credentials_backend.ts";
import { type Derivation, fromBase64, SALT_BYTES, type SealedEntry } from "./sealed_row.ts";
import { KEY_BYTES, type SealingKey, sealingKey } from "./sealing_key.ts";

/** Shorter ones can be guessed, however slow each guess is. */
export const PASSPHRASE_LENGTH = 12;

/** Keys from a passphrase: one for each salt, and each derived once in a process. */
export class PassphraseKey implements KeySource {
  readonly #passphrase: () => MaybePromise<string>;
  readonly #iterations: number;
  readonly #id: string | undefined;
  /** The passphrase, where it cannot be read out again. */
  #secret: Promise<CryptoKey> | undefined;
  /** Whether it has fitted, or was used to write. Else it is asked for again. */
  #isProven = false;
  readonly #derived = new Map<string, Promise<SealingKey>>();
  /** The salt to write with: that of an entry that was opened, so that a later start derives once for all. */
  #current: Derivation | undefined;

  constructor(passphrase: () => MaybePromise<string>, iterations: number, id: string | undefined) {
    this.#passphrase = passphrase;
    this.#iterations = iterations;
    this.#id = id;
  }

  async current(): Promise<SealingKey> {
    this.#current ??= {
      iterations: this.#iterations,
      salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)).toBase64(),
    };
    const key = await this.#derive(this.#current);
    this.#isProven = true;
    return key;
  }

  async find({ key_id, pbkdf2 }: SealedEntry): Promise<SealingKey | undefined> {
    if (pbkdf2 === undefined || (this.#id !== undefined && this.#id !== key_id)) return undefined;
    const key = await this.#derive(pbkdf2);
    if (key.id === key_id) return key;
    this.#doubt();
    return undefined;
  }

  /** Only now: an id may be given, and until it opens anybody may have written the salt. */
  settle({ pbkdf2 }: SealedEntry, isOpened: boolean): void {
    if (!isOpened) return this.#doubt();
    this.#isProven = true;
    if (pbkdf2!.iterations >= this.#iterations) this.#current ??= pbkdf2!;
  }

  async #derive(derivation: Derivation): Promise<SealingKey> {
    const name = `${derivation.iterations} ${derivation.salt}`;
    let key = this.#derived.get(name);
    if (key === undefined) {
      key = this.#deriveNew(derivation);
      this.#derived.set(name, key);
      key.catch(() => this.#derived.delete(name));
    }
    return await key;
  }

  async #deriveNew(derivation: Derivation): Promise<SealingKey> {
    this.#secret ??= this.#readSecret().catch((error) => {
      this.#secret = undefined;
      throw error;
    });
    const { iterations, salt } = derivation;
    const bits = await crypto.subtle.deriveBits(
      { name: "PBKDF2", hash: "SHA-256", iterations, salt: fromBase64(salt)! },
      await this.#secret,
      KEY_BYTES * 8,
    );
    return await sealingKey(new Uint8Array(bits), this.#id, derivation);
  }

  async #readSecret(): Promise<CryptoKey> {
    const text = await this.#passphrase();
    assertPassphrase(text);
    // RFC 8265: one passphrase, however a keyboard composes its letters.
    const bytes = new TextEncoder().encode(text.normalize("NFC"));
    return await crypto.subtle.importKey("raw", bytes, "PBKDF2", false, ["deriveBits"]);
  }

  #doubt(): void {
    if (this.#isProven) return;
    this.#secret = undefined;
    this.#derived.clear();
  }
}

/**
 * Refuses what can be guessed.
 *
 * @throws {CredentialsBackendError} `invalid_options`.
 */
export function assertPassphrase(text: unknown): asserts text is string {
  if (typeof text === "string" && text.length >= PASSPHRASE_LENGTH) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot encrypt credentials: the passphrase has fewer than ${PASSPHRASE_LENGTH} characters. ` +
      `Take a longer one, such as six random words.`,
  );
}
