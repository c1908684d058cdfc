import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";

/** The keys that stored tokens are bound to, where they are to be (DPoP). */
export class StoredKeys {
  readonly #isWanted: boolean;
  #last: { x: unknown; pair: Promise<CryptoKeyPair | undefined> } | undefined;

  constructor(isWanted: boolean) {
    this.#isWanted = isWanted;
  }

  /** Whether an entry has the key that its tokens are bound to, and none where none is wanted. */
  async isIn(entry: OidcCredentials): Promise<boolean> {
    const pair = await this.import(entry.dpop_key);
    return this.#isWanted ? pair !== undefined : !entry.dpop_key;
  }

  /**
   * A stored key for use, or `undefined` where there is none. The same object each time for the same
   * key, since what servers asked for in its proofs is remembered by it.
   */
  async import(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    if (!this.#isWanted) return undefined;
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    if (this.#last === undefined || this.#last.x !== x) {
      const pair = import("./dpop_key.ts").then(({ importDpopKey }) => importDpopKey(jwk));
      this.#last = { x, pair };
    }
    return await this.#last.pair;
  }

  /** Drops the key from memory. */
  forget(): void {
    this.#last = undefined;
  }
}
