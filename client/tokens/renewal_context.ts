import { backendName } from "../../backends/common/describe_backend.ts";
import { Once } from "../../backends/common/promises.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { asksNobody, endOf, type TokenSet } from "../entry/bearer.ts";
import type { ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { EntryUse } from "./entry_use.ts";
import { loadProvider } from "./load_provider.ts";
import { loginRequired } from "./login_required.ts";
import { toEntry } from "./new_entry.ts";
import { ProviderClock } from "./provider_clock.ts";
import type { TokenSourceOptions } from "./session_tokens.ts";
import { CredentialStore } from "./store.ts";

/** The means of one session to get new tokens. */
export class RenewalContext {
  readonly options: TokenSourceOptions;
  readonly store: CredentialStore;
  readonly use: EntryUse;
  /** Whether a new token needs no stored one, and no person. */
  readonly isAlone: boolean;
  readonly #provider = new Once<OidcProvider>();
  readonly #clock: ProviderClock;

  constructor(options: TokenSourceOptions) {
    const { stored: { backend, key }, identity, runtime, bearer } = options;
    this.options = options;
    this.store = new CredentialStore(backend, key);
    this.use = new EntryUse(options);
    this.isAlone = asksNobody(identity.flow);
    this.#clock = new ProviderClock(runtime, bearer, identity.issuer, this.store.shared.skews);
  }

  /** The provider, loaded at the first need. */
  async openProvider(): Promise<OidcProvider> {
    const { identity, runtime } = this.options;
    const open = async () => (await loadProvider()).openProvider(identity, runtime);
    return await this.#provider.get(open);
  }

  /** The entry for new tokens, by the time of the answer that brought them. */
  entryOf(tokens: TokenSet, previous?: OidcCredentials): OidcCredentials {
    const { identity, bearer, runtime } = this.options;
    const { time = { sentAt: runtime.now() } } = tokens;
    this.#clock.learn(time);
    return toEntry(tokens, identity, bearer, this.#clock.issuedAt(time), previous);
  }

  /** Reports an entry that was stored. */
  reportStored(entry: OidcCredentials): void {
    const backend = backendName(this.store.backend);
    this.options.runtime.emit?.({ type: "stored", backend, ...endOf(this.use.bearerIn(entry)) });
  }

  /** The error where a person has to sign in and is not asked. */
  loginRequired(reason: string, cause?: Error): ValidMindAuthError {
    return loginRequired(this.options, reason, cause);
  }
}
