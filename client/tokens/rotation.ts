import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { markSpent } from "./entry_use.ts";
import type { CredentialStore } from "./store.ts";

/** The refresh token of a stored entry, which a provider may replace by another one. */
export class Rotation {
  /** The entry with its present refresh token. The bearer and its end are the old ones. */
  entry: OidcCredentials;
  readonly #store: CredentialStore;
  readonly #stored: OidcCredentials;
  #keeping: Promise<boolean> | undefined;

  constructor(store: CredentialStore, stored: OidcCredentials) {
    this.#store = store;
    this.#stored = stored;
    this.entry = stored;
  }

  /** Takes over the new refresh token: the old one is used up. */
  follow(refreshToken: string | undefined): void {
    const { refresh_token: used } = this.#stored;
    if (refreshToken === undefined || refreshToken === used) return;
    if (used) markSpent(used);
    this.entry = { ...this.#stored, refresh_token: refreshToken };
  }

  /** Stores the new refresh token, once, before the tokens that came with it are checked. */
  async keep(refreshToken: string): Promise<void> {
    this.follow(refreshToken);
    await (this.#keeping ??= this.#store.replace(this.entry, this.#stored));
  }
}
