import { backendName } from "../../backends/common/describe_backend.ts";
import { Once, untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, coversScope, isFresh, type TokenSet } from "../entry.ts";
import { codeOf, ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { adopt, BoundKey, bridges, providerNow, toEntry } from "./new_entry.ts";
import type { HeldTokens, Renewal, StoredCredential } from "./source.ts";
import { CredentialStore } from "./store.ts";
import { singleFlight, takeTurn } from "./turns.ts";

/** Loaded where the store has no valid token. */
const loadProvider = () => import("../provider/oidc_provider.ts");
/** Loaded where the store has no valid token. */
const loadGrant = () => import("../provider/client_credentials_grant.ts");

/** Options of {@linkcode ClientRenewal}. */
export interface ClientRenewalOptions {
  identity: OidcIdentity;
  stored: StoredCredential;
  runtime: Runtime;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/**
 * Renews the token of a client that signs in itself, with nobody there. It has no refresh token: the
 * client asks for a new one, one process at a time as widely as the store can lock, and the others take
 * it from the store.
 */
export class ClientRenewal implements Renewal {
  readonly #options: ClientRenewalOptions;
  readonly #held: HeldTokens;
  readonly #store: CredentialStore;
  readonly #key: BoundKey;
  readonly #provider = new Once<OidcProvider>();

  constructor(options: ClientRenewalOptions, held: HeldTokens) {
    const { identity, stored } = options;
    this.#options = options;
    this.#held = held;
    this.#store = new CredentialStore(stored.backend, stored.key);
    this.#key = new BoundKey(identity.dpop === true);
  }

  async signIn(
    read: { entry: OidcCredentials | undefined } | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const stored = read === undefined ? await untilAborted(this.#store.load(), signal) : read.entry;
    if (stored !== undefined && await this.#serves(stored)) {
      this.#held.adopt(stored);
      if (isFresh(this.#held.bearer, this.#now())) return false;
    }
    await this.#options.beforeProvider();
    await this.renew(undefined, signal);
    return false;
  }

  async renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    const { forgets } = this.#held;
    try {
      const entry = await this.#run(rejected, signal);
      const { runtime, identity } = this.#options;
      providerNow(runtime, "access_token", identity.issuer); // another session may have made it
      // Not after a sign-out in between.
      if (forgets === this.#held.forgets) adopt(this.#held, entry, this.#now());
      return bearerOf(entry, "access_token")!;
    } catch (error) {
      if (forgets === this.#held.forgets) this.#adoptUnstored();
      if (rejected !== undefined || !bridges(this.#held, error, this.#now())) throw error;
      return this.#held.bearer!;
    }
  }

  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.#key.import(dpopKey);
    if (pair !== undefined) return pair;
    throw new ValidMindAuthError(
      "provider_invalid",
      `Cannot use the token of ${this.#options.identity.issuer}: its key is missing or damaged. ` +
        `Clear the session, and try again.`,
    );
  }

  forgetKey(): void {
    this.#key.forget();
  }

  async prepareRefresh(): Promise<void> {
    await Promise.all([this.provider(), loadGrant()]);
  }

  async provider(): Promise<OidcProvider> {
    return await this.#provider.get(async () => {
      const { openProvider } = await loadProvider();
      return openProvider(this.#options.identity, this.#options.runtime);
    });
  }

  /** An entry with a live token other than `rejected`. The calls of this process join. */
  async #run(rejected: string | undefined, signal?: AbortSignal): Promise<OidcCredentials> {
    const entry = await this.#join(rejected, signal);
    // The joined run may have begun before the token was rejected.
    const isRejected = rejected !== undefined && entry.access_token === rejected;
    return isRejected ? await this.#join(rejected, signal) : entry;
  }

  async #join(rejected: string | undefined, signal?: AbortSignal): Promise<OidcCredentials> {
    const { identity, runtime: { emit } } = this.#options;
    const store = this.#store;
    const peek = async () => await this.#joinable(await store.peek(), rejected);
    return await singleFlight(
      store.owner,
      `client ${identity.scope} ${store.key}`,
      (ended) =>
        takeTurn(store, () => this.#runLocked(rejected), { signal: ended, peek }, {
          emit,
          issuer: identity.issuer,
          ask: undefined, // nobody is there to read of a long wait
        }),
      signal,
      () => emit?.({ type: "refresh_joined" }),
    );
  }

  async #runLocked(rejected: string | undefined): Promise<OidcCredentials> {
    const { identity, runtime } = this.#options;
    const stored = await this.#store.loadLocked();
    const joinable = await this.#joinable(stored, rejected);
    if (joinable !== undefined) return joinable;
    const tokens = await this.#request(stored);
    // A row for another scope is another grant, of which nothing is kept.
    const previous = stored !== undefined && await this.#serves(stored) ? stored : undefined;
    const now = providerNow(runtime, "access_token", identity.issuer);
    const entry = toEntry(tokens, identity, "access_token", now, previous);
    runtime.emit?.({ type: "refresh_done", ...endOf(entry) });
    await this.#store.save(entry, stored);
    const backend = backendName(this.#store.backend);
    runtime.emit?.({ type: "stored", backend, ...endOf(entry) });
    return entry;
  }

  async #request(stored: OidcCredentials | undefined): Promise<TokenSet> {
    const { emit } = this.#options.runtime;
    try {
      emit?.({ type: "refresh_started" });
      const [provider, { requestClientTokens }] = await Promise.all([this.provider(), loadGrant()]);
      return await requestClientTokens(provider, stored?.dpop_key);
    } catch (error) {
      emit?.({ type: "refresh_failed", ...codeOf(error) });
      throw error;
    }
  }

  /** The stored entry, where another session or process has renewed its token meanwhile. */
  async #joinable(
    stored: OidcCredentials | undefined,
    rejected: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    if (stored === undefined || !await this.#serves(stored)) return undefined;
    const bearer = bearerOf(stored, "access_token");
    if (!isFresh(bearer, this.#now()) || bearer.token === rejected) return undefined;
    this.#options.runtime.emit?.({ type: "refresh_joined" });
    return stored;
  }

  /** Whether an entry is for the requested scope, and has the key of its token. */
  async #serves(stored: OidcCredentials): Promise<boolean> {
    return coversScope(stored, this.#options.identity.scope) && await this.#key.isIn(stored);
  }

  /** Takes over a token that could not be stored. The next use still goes to the store, to write it. */
  #adoptUnstored(): void {
    const { unstored } = this.#store;
    if (unstored === undefined) return;
    this.#held.adopt(unstored);
    this.#held.useUntil(0);
  }

  #now(): number {
    return this.#options.runtime.now();
  }
}

function endOf(entry: OidcCredentials): { expiresAt?: Date } {
  const bearer = bearerOf(entry, "access_token");
  return bearer === undefined ? {} : { expiresAt: new Date(bearer.expiresAt) };
}
