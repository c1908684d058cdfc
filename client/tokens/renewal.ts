import type { ClearOptions, ClearResult } from "../session.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redact.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, isFresh, type TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { clearCredentials } from "./clear.ts";
import { NO_KEY, noIdToken } from "./login_required.ts";
import { bridges, providerNow, toEntry } from "./new_entry.ts";
import { loadGrants, TokenRefresh } from "./refresh.ts";
import type { HeldTokens, Renewal, TokenSourceOptions } from "./source.ts";
import { CredentialStore, loadDialog, singleFlight, takeTurn } from "./store.ts";

/** The slow half of a `TokenSource`: tokens by a refresh, by the client's grant, or by asking the person. */
export class TokenRenewal implements Renewal {
  readonly #options: TokenSourceOptions;
  readonly #held: HeldTokens;
  readonly #store: CredentialStore;
  readonly #refresh: TokenRefresh;

  constructor(options: TokenSourceOptions, held: HeldTokens) {
    const { stored } = options;
    this.#options = options;
    this.#held = held;
    this.#store = new CredentialStore(stored.backend, stored.key);
    this.#refresh = new TokenRefresh(options, this.#store);
  }

  /**
   * Signs in from the store, by a refresh or by the person, in this order.
   *
   * @param read The stored entry, unless there is one that could not be stored.
   * @returns Whether the person was asked.
   */
  async signIn(read: OidcCredentials | undefined, signal?: AbortSignal): Promise<boolean> {
    const { ask, beforeProvider } = this.#options;
    const stored = this.#store.unstored ? await untilAborted(this.#store.load(), signal) : read;
    if (stored !== undefined && await this.#refresh.serves(stored)) this.#held.adopt(stored);
    if (isFresh(this.#held.bearer, this.#now())) return false;
    const obstacle = await this.#refresh.obstacleIn(stored);
    if (obstacle !== undefined && ask === undefined) throw this.#refresh.loginRequired(obstacle);
    await beforeProvider();
    if (obstacle === undefined) {
      try {
        await this.renew(undefined, signal);
        return false;
      } catch (error) {
        if (ask === undefined || !isLoginRequired(error)) throw error;
      }
    }
    await this.#ask(signal);
    return true;
  }

  /** Gives a live bearer other than `rejected`. Never asks the person. */
  async renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    const { identity: { issuer }, bearer: kind, runtime } = this.#options;
    const { forgets } = this.#held;
    try {
      const entry = await this.#refresh.run(rejected, signal);
      providerNow(runtime, kind, issuer); // another session may have made it
      // Not after a sign-out in between.
      if (forgets === this.#held.forgets) this.#held.adopt(entry);
      const bearer = bearerOf(entry, kind);
      remember(runtime.secrets, [bearer?.token]);
      if (bearer !== undefined && this.#now() < bearer.expiresAt) return bearer;
      throw noIdToken(issuer);
    } catch (error) {
      if (forgets === this.#held.forgets) this.#keepUp(error);
      if (rejected !== undefined || !bridges(this.#held, error, this.#now())) throw error;
      return this.#held.bearer!;
    }
  }

  /** Follows an unsuccessful renewal in the memory of the session. */
  #keepUp(error: unknown): void {
    const { unstored } = this.#store;
    if (unstored !== undefined) {
      this.#held.adopt(unstored);
      this.#held.freshUntil = 0; // the next use still goes to the store, to write them
    } else if (isLoginRequired(error)) {
      const { cause } = error; // any other refusal may pass
      const mayPass = cause instanceof ValidMindAuthError && cause.oauthError !== "invalid_grant";
      const { entry } = this.#held;
      if (!mayPass && entry !== undefined) this.#held.entry = { ...entry, refresh_token: null };
    }
  }

  /** The key that a bearer is bound to. */
  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.#refresh.key.import(dpopKey);
    if (pair !== undefined) return pair;
    throw this.#refresh.loginRequired(NO_KEY);
  }

  /** Loads the code of a refresh. */
  async prepareRefresh(): Promise<void> {
    await this.#refresh.provider();
    await loadGrants();
  }

  /** Removes the entry. */
  async clear(options: ClearOptions): Promise<ClearResult> {
    return await clearCredentials(this.#store, options, () => this.#refresh.provider());
  }

  /**
   * Asks the person, or joins another session of this process that is asking already. Before that, the
   * store is proven.
   */
  async #ask(signal?: AbortSignal): Promise<void> {
    const { identity, bearer, runtime } = this.#options;
    const store = this.#store;
    // A call for another scope or bearer does not join, since the answer would not serve it.
    const entry = await singleFlight(
      store.owner,
      `login ${bearer} ${identity.scope} ${store.key}`,
      (ended) => this.#askAlone(ended),
      signal,
      () => runtime.emit?.({ type: "sign_in_joined" }),
    );
    this.#held.adopt(entry);
    if (this.#held.bearer === undefined) throw noIdToken(identity.issuer);
  }

  async #askAlone(signal: AbortSignal): Promise<OidcCredentials> {
    const { identity, bearer, runtime } = this.#options;
    const store = this.#store;
    const ask = this.#options.ask!;
    const proof = takeTurn(store, () => store.probe(), { signal }, this.#options);
    await untilAborted(proof, signal);
    const [provider, { askPerson }] = await Promise.all([this.#refresh.provider(), loadDialog()]);
    const save = async (tokens: TokenSet) => {
      const now = providerNow(runtime, bearer, identity.issuer);
      const entry = toEntry(tokens, identity, bearer, now);
      await store.saveNew(entry);
      this.#refresh.reportStored(entry);
      return { entry, expiresAt: bearerOf(entry, bearer)?.expiresAt };
    };
    return await askPerson(provider, { runtime, ask, backend: store.backend, signal, save });
  }

  #now(): number {
    return this.#options.runtime.now();
  }
}

function isLoginRequired(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && error.code === "login_required";
}
