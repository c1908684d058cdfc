import type { Runtime } from "../options/resolve_options.ts";
import { Once } from "../../backends/common/promises.ts";
import { backendName, type Message } from "../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, coversScope, isFresh } from "../entry.ts";
import { codeOf, type ValidMindAuthError } from "../errors.ts";
import type { OidcProvider, RequestedDiscovery } from "../provider/oidc_provider.ts";
import type { RefreshAnswer } from "../provider/refresh_grant.ts";
import { revokeTokens } from "./clear.ts";
import { isRefusal, loginRequired, NO_KEY, noRefreshToken, OTHER_SCOPE } from "./login_required.ts";
import { BoundKey, providerNow, toEntry } from "./new_entry.ts";
import type { TokenSourceOptions } from "./source.ts";
import {
  type CredentialStore,
  grantOf,
  isSpent,
  markSpent,
  singleFlight,
  takeTurn,
} from "./store.ts";

/** Loaded where the provider is needed. */
export async function loadGrants() {
  await loadCompiled();
  return await import("../provider/refresh_grant.ts");
}

/**
 * Renews the tokens of one identity, of a person or a client: one renewal at a time, as widely as the
 * store can lock.
 */
export class TokenRefresh {
  readonly #options: TokenSourceOptions;
  readonly #store: CredentialStore;
  readonly #provider = new Once<OidcProvider>();
  /** A client needs no stored token for a new one, and no person. */
  readonly #isClient: boolean;
  readonly key: BoundKey;

  constructor(options: TokenSourceOptions, store: CredentialStore) {
    this.#options = options;
    this.#store = store;
    this.#isClient = options.identity.flow === "client_credentials";
    this.key = new BoundKey(options.identity.dpop === true);
  }

  /** The provider, loaded at the first need. */
  async provider(): Promise<OidcProvider> {
    return await this.#provider.get(async () => {
      const { openProvider } = await loadGrants();
      return openProvider(this.#options.identity, this.#options.runtime);
    });
  }

  /** Whether an entry is for the requested scope, and has the key of its tokens. */
  async serves(stored: OidcCredentials): Promise<boolean> {
    return coversScope(stored, this.#options.identity.scope) && await this.key.isIn(stored);
  }

  /** The reason why only a person can go on from an entry; `undefined` where it can be renewed. */
  async obstacleIn(stored: OidcCredentials | undefined): Promise<Message | undefined> {
    const { identity } = this.#options;
    if (this.#isClient) return undefined;
    if (stored === undefined) return "no sign-in is stored";
    if (!coversScope(stored, identity.scope)) return OTHER_SCOPE;
    if (!await this.key.isIn(stored)) return NO_KEY;
    if (!stored.refresh_token) return noRefreshToken(identity);
    return isSpent(stored.refresh_token) ? "the stored refresh token is used up" : undefined;
  }

  /**
   * The entry with a live bearer other than `rejected`: of this renewal, or of a concurrent one. The
   * calls of this process join, and other processes wait.
   */
  async run(rejected: string | undefined, signal?: AbortSignal): Promise<OidcCredentials> {
    const entry = await this.#join(rejected, signal);
    // The joined run may have begun before the bearer was rejected.
    const isRejected = rejected !== undefined && this.#bearerIn(entry)?.token === rejected;
    return isRejected ? await this.#join(rejected, signal) : entry;
  }

  async #join(rejected: string | undefined, signal?: AbortSignal): Promise<OidcCredentials> {
    const { identity, bearer, runtime: { emit } } = this.#options;
    const store = this.#store;
    const peek = async () => await this.#renewedIn(await store.peek(), rejected);
    const renew = async (signal: AbortSignal) => {
      try {
        const run = () => this.#runLocked(rejected);
        return await takeTurn(store, run, { signal, peek }, this.#options);
      } catch (error) {
        if (!signal.aborted) emit?.({ type: "refresh_failed", ...codeOf(error) });
        throw error;
      }
    };
    return await singleFlight(
      store.owner,
      `${bearer} ${identity.scope} ${store.key}`,
      renew,
      signal,
      () => emit?.({ type: "refresh_joined" }),
    );
  }

  /** The stored entry, where another session or process has renewed it meanwhile. */
  async #renewedIn(
    stored: OidcCredentials | undefined,
    rejected: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    if (stored === undefined || !await this.serves(stored)) return undefined;
    const bearer = this.#bearerIn(stored);
    const { now, emit } = this.#options.runtime;
    if (!isFresh(bearer, now()) || bearer.token === rejected) return undefined;
    emit?.({ type: "refresh_joined" });
    return stored;
  }

  async #runLocked(rejected: string | undefined, isAgain = false): Promise<OidcCredentials> {
    const stored = await this.#store.loadLocked();
    const renewed = await this.#renewedIn(stored, rejected);
    if (renewed !== undefined) return renewed;
    const obstacle = await this.obstacleIn(stored);
    if (obstacle !== undefined) {
      const bearer = stored && await this.serves(stored) ? this.#bearerIn(stored) : undefined;
      const isAlive = bearer !== undefined && this.#options.runtime.now() < bearer.expiresAt;
      if (isAlive && bearer.token !== rejected) return stored!;
      throw this.loginRequired(obstacle);
    }
    try {
      return await this.#exchange(stored) ?? await this.#runLocked(rejected, isAgain);
    } catch (error) {
      if (this.#isClient || !isRefusal(error)) throw error;
      return await this.#afterRefusal(stored!, error, rejected, isAgain);
    }
  }

  /** Gets new tokens for an entry, and stores them. `undefined` where the store holds another grant by then. */
  async #exchange(stored: OidcCredentials | undefined): Promise<OidcCredentials | undefined> {
    const { identity, bearer, runtime } = this.#options;
    const { emit } = runtime;
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
    // A client's row for another scope is another grant, of which nothing is kept.
    const previous = stored && await this.serves(stored) ? stored : undefined;
    const now = providerNow(runtime, bearer, identity.issuer);
    const entry = toEntry(answer.tokens, identity, bearer, now, previous);
    emit?.({ type: "refresh_done", ...this.#endOf(entry) });
    if (await store.replace(entry, stored)) {
      this.reportStored(entry);
      return entry;
    }
    if (this.#isClient || await store.loadLocked() !== undefined) return undefined;
    // The sign-out wins, and nobody else has these tokens to end them.
    const { accessToken, refreshToken } = answer.tokens;
    await revokeTokens(() => this.provider(), { accessToken, refreshToken });
    throw this.loginRequired("the sign-in was removed while its token was refreshed");
  }

  /**
   * Uses the grant of an entry, once the store is known to accept the next one. `undefined` where the
   * store holds another grant by then: this process may have stood still, and its lock been taken over.
   * A refresh token that was used meanwhile would cost the sign-in where the provider detects its reuse.
   */
  async #request(stored: OidcCredentials | undefined): Promise<RefreshAnswer | undefined> {
    const { identity, runtime } = this.#options;
    runtime.emit?.({ type: "refresh_started" });
    const proof = this.#store.prove(stored);
    proof.catch(() => undefined); // thrown below
    // The request goes out while the code that reads its answer is loaded.
    using discovery = this.#provider.kept ? undefined : requestDiscovery(identity.issuer, runtime);
    const provider = await this.provider();
    const { refreshTokens, requestClientTokens, subjectOf } = await loadGrants();
    await provider.prepare(this.#isClient ? "get a token" : "refresh the sign-in", discovery);
    await proof;
    if (grantOf(await this.#store.loadLocked()) !== grantOf(stored)) return undefined;
    if (this.#isClient) return { tokens: await requestClientTokens(provider, stored?.dpop_key) };
    const { refresh_token, dpop_key } = stored!;
    const dpopKey = await this.key.import(dpop_key);
    const subject = subjectOf(stored!);
    return await refreshTokens(provider, { refreshToken: refresh_token!, subject, dpopKey });
  }

  /** Another process may have renewed the grant meanwhile: its entry is used then, once. */
  async #afterRefusal(
    refused: OidcCredentials,
    error: ValidMindAuthError & { answer?: string },
    rejected: string | undefined,
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
    const reason = isEnded
      ? "the provider ended the sign-in: it answered"
      : error.oauthError === undefined // it may be about the client, or of another server
      ? "the provider does not take the client, or a proxy is in between: it answered"
      : "the provider refused to refresh it: it answered";
    throw this.loginRequired(`${reason} ${error.answer ?? error.oauthError}`, error);
  }

  /** Reports an entry that was stored. */
  reportStored(entry: OidcCredentials): void {
    const backend = backendName(this.#store.backend);
    this.#options.runtime.emit?.({ type: "stored", backend, ...this.#endOf(entry) });
  }

  /** The error where a person has to sign in and is not asked. */
  loginRequired(reason: Message, cause?: Error): ValidMindAuthError {
    return loginRequired(this.#options.identity, this.#store.backend, reason, cause);
  }

  #endOf(entry: OidcCredentials): { expiresAt?: Date } {
    const bearer = this.#bearerIn(entry);
    return bearer === undefined ? {} : { expiresAt: new Date(bearer.expiresAt) };
  }

  #bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.#options.bearer);
  }
}

/**
 * Loads a package by its file. Deno 2 keeps compiled code by file, and looks for that of a package
 * behind an `import()` by its name: each process would compile it anew, and keep it once more.
 */
async function loadCompiled(): Promise<void> {
  try {
    const url = import.meta.resolve("npm:oauth4webapi@^3.8.8");
    if (url.startsWith("file:")) await import(url);
  } catch {
    // It is loaded by its name, more slowly.
  }
}

/**
 * Requests the discovery document exactly as oauth4webapi does, but before oauth4webapi is loaded.
 * Only `OidcProvider` reads the answer.
 */
function requestDiscovery(issuer: string, { fetch }: Runtime): RequestedDiscovery {
  const url = new URL(issuer);
  url.pathname = `${url.pathname}/.well-known/openid-configuration`.replace("//", "/");
  const end = new AbortController();
  const headers = { accept: "application/json" };
  const request = { headers, redirect: "manual", signal: end.signal } as const;
  const response = Promise.try(fetch, url.href, request);
  response.catch(() => undefined); // reported where the answer is used
  return { url: url.href, response, [Symbol.dispose]: () => end.abort() };
}
