import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";

/** Loaded where tokens are bound to a key. */
const loadDpopKey = () => import("../provider/dpop_key.ts");

/** The key that the tokens of one identity are bound to, where they are bound (DPoP, RFC 9449). */
export class BoundKey {
  readonly #isBound: boolean;
  #imported: { x: unknown; pair: Promise<CryptoKeyPair | undefined> } | undefined;

  constructor(isBound: boolean) {
    this.#isBound = isBound;
  }

  /** Whether an entry has the key of its tokens, or none where the tokens are to be unbound. */
  async isIn({ dpop_key }: OidcCredentials): Promise<boolean> {
    return this.#isBound ? await this.import(dpop_key) !== undefined : !dpop_key;
  }

  /**
   * A stored key for use, or `undefined` without a usable one. It is the same object for the same key,
   * since the nonces of its servers are remembered by it.
   */
  async import(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    if (!this.#isBound) return undefined;
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    if (this.#imported === undefined || this.#imported.x !== x) {
      const pair = loadDpopKey().then(({ importDpopKey }) => importDpopKey(jwk));
      this.#imported = { x, pair };
    }
    return await this.#imported.pair;
  }

  /** Drops the key from memory. */
  forget(): void {
    this.#imported = undefined;
  }
}
