import { backendName } from "../../backends/common/describe_backend.ts";
import { Once, untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  type Bearer,
  bearerOf,
  coversScope,
  endOf,
  isFresh,
  type TokenSet,
} from "../entry/bearer.ts";
import { asksNobody } from "../entry/bearer_kind.ts";
import { codeOf, type ValidMindAuthError } from "../errors.ts";
import type { ProviderRefusedError } from "../provider/error.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { RefreshAnswer } from "../provider/refresh_grant.ts";
import type { ClearResult } from "../session.ts";
import { clearCredentials, loadProvider, loadUnattended, revokeTokens } from "./clear.ts";
import {
  bridges,
  endsSignIn,
  EntryUse,
  isRefusal,
  loginRequired,
  NO_KEY,
  noIdToken,
  providerNow,
  reasonOf,
  toEntry,
} from "./renewal_result.ts";
import type { HeldTokens, Renewal, TokenSourceOptions } from "./source.ts";
import {
  CredentialStore,
  grantOf,
  loadDialog,
  markSpent,
  singleFlight,
  takeTurn,
} from "./store.ts";

/** The slow half of a `TokenSource`: tokens by a refresh, by the client's grant, or by asking the person. */
export class TokenRenewal implements Renewal {
  readonly #options: TokenSourceOptions;
  readonly #held: HeldTokens;
  readonly #store: CredentialStore;
  readonly #provider = new Once<OidcProvider>();
  readonly #use: EntryUse;
  /** Whether a new token needs no stored one, and no person. */
  readonly #isAlone: boolean;

  constructor(options: TokenSourceOptions, held: HeldTokens) {
    const { stored, identity } = options;
    this.#options = options;
    this.#held = held;
    this.#store = new CredentialStore(stored.backend, stored.key);
    this.#use = new EntryUse(options);
    this.#isAlone = asksNobody(identity.flow);
  }

  /**
   * Signs in from the store, by a refresh or by the person, in this order.
   *
   * @param read The stored entry, unless there is one that could not be stored.
   * @returns Whether the person was asked.
   */
  async signIn(read: OidcCredentials | undefined, signal?: AbortSignal): Promise<boolean> {
    const { ask, beforeProvider, runtime } = this.#options;
    const stored = this.#store.unstored ? await untilAborted(this.#store.load(), signal) : read;
    if (await this.#use.servedBy(stored)) this.#held.adopt(stored!);
    if (isFresh(this.#held.bearer, runtime.now())) return false;
    const obstacle = this.#isAlone ? undefined : await this.#use.noRefreshOf(stored);
    if (obstacle !== undefined && ask === undefined) throw this.#loginRequired(obstacle);
    await beforeProvider();
    if (obstacle === undefined) {
      try {
        await this.renew(undefined, signal);
        return false;
      } catch (error) {
        if (ask === undefined || codeOf(error).code !== "login_required") throw error;
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
      const entry = await this.#renewEntry(rejected, signal);
      providerNow(runtime, kind, issuer); // another session may have made it
      // Not after a sign-out in between.
      if (forgets === this.#held.forgets) this.#held.adopt(entry);
      const bearer = bearerOf(entry, kind);
      remember(runtime.secrets, [bearer?.token]);
      if (bearer !== undefined && runtime.now() < bearer.expiresAt) return bearer;
      throw noIdToken(issuer);
    } catch (error) {
      if (forgets === this.#held.forgets) this.#keepUp(error);
      if (rejected !== undefined || !bridges(this.#held, error, runtime.now())) throw error;
      return this.#held.bearer!;
    }
  }

  /** Follows an unsuccessful renewal in the memory of the session. */
  #keepUp(error: unknown): void {
    const { unstored } = this.#store;
    if (unstored !== undefined && coversScope(unstored, this.#options.identity.scope)) {
      this.#held.adopt(unstored);
      this.#held.freshUntil = 0; // the next use still goes to the store, to write them
    } else if (endsSignIn(error) && this.#held.entry !== undefined) {
      this.#held.entry = { ...this.#held.entry, refresh_token: null };
    }
  }

  /** The key that a bearer is bound to. */
  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.#use.importKey(dpopKey);
    if (pair !== undefined) return pair;
    throw this.#loginRequired(NO_KEY);
  }

  /** Loads the code of a refresh. */
  async prepareRefresh(): Promise<void> {
    await Promise.all([this.#openProvider(), this.#isAlone && loadUnattended()]);
  }

  /** Removes the entry. */
  async clear(revoke: boolean, held: OidcCredentials | undefined): Promise<ClearResult> {
    return await clearCredentials(this.#store, revoke, () => this.#openProvider(), held);
  }

  /** Asks the person, or joins another session of this process that is asking already. */
  async #ask(signal?: AbortSignal): Promise<void> {
    const { identity, bearer, runtime } = this.#options;
    const store = this.#store;
    // A call for another scope or bearer does not join, since the answer would not serve it.
    const entry = await singleFlight(
      store.shared.flights,
      `login ${bearer} ${identity.scope} ${store.key}`,
      (ended) => this.#askAlone(ended),
      signal,
      () => runtime.emit?.({ type: "sign_in_joined" }),
    );
    this.#held.adopt(entry);
    if (this.#held.bearer === undefined) throw noIdToken(identity.issuer);
  }

  /** Proves the store and asks the person. `signal` aborts when nobody waits any more. */
  async #askAlone(signal: AbortSignal): Promise<OidcCredentials> {
    const { identity, bearer, runtime } = this.#options;
    const store = this.#store;
    const ask = this.#options.ask!;
    const prove = async () => {
      await store.probe();
      return await store.read();
    };
    const before = await untilAborted(takeTurn(store, prove, { signal }, this.#options), signal);
    const [provider, { askPerson }] = await Promise.all([this.#openProvider(), loadDialog()]);
    const save = async (tokens: TokenSet) => {
      const now = providerNow(runtime, bearer, identity.issuer);
      const entry = toEntry(tokens, identity, bearer, now);
      await store.saveNew(entry, before);
      this.#reportStored(entry);
      return entry;
    };
    const rejected = this.#held.bearer?.token;
    const look = async () => await this.#use.freshIn(await store.peek(), rejected);
    const bearerIn = (entry: OidcCredentials) => this.#use.bearerIn(entry);
    const { backend } = store;
    return await askPerson(provider, { runtime, ask, backend, signal, save, look, bearerIn });
  }

  /** The provider, loaded at the first need. */
  async #openProvider(): Promise<OidcProvider> {
    const { identity, runtime } = this.#options;
    const open = async () => (await loadProvider()).openProvider(identity, runtime);
    return await this.#provider.get(open);
  }

  /**
   * The entry with a live bearer other than `rejected`: of this renewal, or of a concurrent one. The
   * calls of this process join, and other processes wait.
   */
  async #renewEntry(rejected = "", signal?: AbortSignal): Promise<OidcCredentials> {
    const { identity, bearer, runtime: { emit } } = this.#options;
    const store = this.#store;
    const peek = async () => await this.#renewedIn(await store.peek(), rejected);
    const renew = async (signal: AbortSignal) => {
      try {
        const lock = { signal, peek };
        return await takeTurn(store, () => this.#runLocked(rejected), lock, this.#options);
      } catch (error) {
        if (!signal.aborted) emit?.({ type: "refresh_failed", ...codeOf(error) }, error);
        throw error;
      }
    };
    return await singleFlight(
      store.shared.flights,
      // A run for another rejected bearer may give this one.
      `${bearer} ${identity.scope} ${rejected} ${store.key}`,
      renew,
      signal,
      () => emit?.({ type: "refresh_joined" }),
    );
  }

  /** The stored entry, where another session or process has renewed it meanwhile. */
  async #renewedIn(
    stored: OidcCredentials | undefined,
    rejected: string,
  ): Promise<OidcCredentials | undefined> {
    const renewed = await this.#use.freshIn(stored, rejected);
    if (renewed !== undefined) this.#options.runtime.emit?.({ type: "refresh_joined" });
    return renewed;
  }

  /** Renews the stored entry, under the lock, unless that was done meanwhile. */
  async #runLocked(rejected: string, isAgain = false): Promise<OidcCredentials> {
    const stored = await this.#store.loadLocked();
    const renewed = await this.#renewedIn(stored, rejected);
    if (renewed !== undefined) return renewed;
    const obstacle = this.#isAlone ? undefined : await this.#use.noRefreshOf(stored);
    if (obstacle !== undefined) {
      const bearer = await this.#use.servedBy(stored);
      const isAlive = bearer !== undefined && this.#options.runtime.now() < bearer.expiresAt;
      if (isAlive && bearer.token !== rejected) return stored!;
      throw this.#loginRequired(obstacle);
    }
    try {
      return await this.#exchange(stored) ?? await this.#runLocked(rejected, isAgain);
    } catch (error) {
      if (this.#isAlone || !isRefusal(error)) throw error;
      return await this.#afterRefusal(stored!, error, rejected, isAgain);
    }
  }

  /** Gets new tokens for an entry, and stores them. `undefined` where the store holds another grant by then. */
  async #exchange(stored: OidcCredentials | undefined): Promise<OidcCredentials | undefined> {
    const { identity, bearer, runtime } = this.#options;
    const store = this.#store;
    const answer = await this.#request(stored);
    if (answer === undefined) return undefined;
    const { refreshToken: rotated } = answer.tokens ?? answer;
    const used = stored?.refresh_token;
    if (used && rotated !== undefined && rotated !== used) markSpent(used);
    if (answer.tokens === undefined) {
      await store.replace({ ...stored!, refresh_token: answer.refreshToken }, stored);
      throw answer.error;
    }
    const previous = answer.isNew ? undefined : stored;
    const now = providerNow(runtime, bearer, identity.issuer);
    const entry = toEntry(answer.tokens, identity, bearer, now, previous);
    runtime.emit?.({ type: "refresh_done", ...endOf(this.#use.bearerIn(entry)) });
    if (await store.replace(entry, stored)) {
      this.#reportStored(entry);
      return entry;
    }
    if (this.#isAlone || await store.loadLocked() !== undefined) return undefined;
    // The sign-out wins, and nobody else has these tokens to end them.
    await revokeTokens(() => this.#openProvider(), answer.tokens);
    throw this.#loginRequired("the sign-in was removed while its token was refreshed");
  }

  /**
   * Uses the grant of an entry, once the store is known to accept the next one. `undefined` where the
   * store holds another grant by then: this process may have stood still, and its lock been taken over.
   * A refresh token that was used meanwhile would cost the sign-in where the provider detects its reuse.
   */
  async #request(stored: OidcCredentials | undefined): Promise<RefreshAnswer | undefined> {
    this.#options.runtime.emit?.({ type: "refresh_started" });
    const proof = this.#store.prove(stored);
    proof.catch(() => undefined); // thrown below
    const provider = await this.#openProvider();
    const { refreshTokens, subjectOf } = await loadProvider();
    await provider.prepare(this.#isAlone ? "get a token" : "refresh the sign-in");
    await proof;
    if (grantOf(await this.#store.loadLocked()) !== grantOf(stored)) return undefined;
    const anew = async () => {
      const { requestUnattended } = await loadUnattended();
      return { tokens: await requestUnattended(provider), isNew: true } as const;
    };
    if (this.#isAlone && await this.#use.noRefreshOf(stored)) return await anew();
    const { refresh_token, dpop_key } = stored!;
    const dpopKey = await this.#use.importKey(dpop_key);
    const subject = subjectOf(stored!);
    const refresh = refreshTokens(provider, { refreshToken: refresh_token!, subject, dpopKey });
    return await refresh.catch((error) => {
      if (this.#isAlone && isRefusal(error)) return anew();
      throw error;
    });
  }

  /** Another process may have renewed the grant meanwhile: its entry is used then, once. */
  async #afterRefusal(
    refused: OidcCredentials,
    error: ProviderRefusedError,
    rejected: string,
    isAgain: boolean,
  ): Promise<OidcCredentials> {
    const store = this.#store;
    const isEnded = error.oauthError === "invalid_grant";
    if (isEnded) markSpent(refused.refresh_token!);
    const stored = await store.loadLocked();
    const isOther = grantOf(stored) !== grantOf(refused);
    if (stored !== undefined && isOther && !isAgain) return await this.#runLocked(rejected, true);
    // Any other refusal may pass, for instance in another network.
    if (isEnded && !isOther) await store.remove();
    throw this.#loginRequired(reasonOf(error), error);
  }

  /** Reports an entry that was stored. */
  #reportStored(entry: OidcCredentials): void {
    const backend = backendName(this.#store.backend);
    this.#options.runtime.emit?.({ type: "stored", backend, ...endOf(this.#use.bearerIn(entry)) });
  }

  /** The error where a person has to sign in and is not asked. */
  #loginRequired(reason: string, cause?: Error): ValidMindAuthError {
    const { identity, isFound } = this.#options;
    return loginRequired(identity, this.#store.backend, isFound, reason, cause);
  }
}
