import { Once } from "../../backends/common/promises.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, isFresh } from "../entry.ts";
import { codeOf, ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { OidcProvider, RequestedDiscovery } from "../provider/oidc_provider.ts";
import type { RefreshAnswer } from "../provider/refresh_grant.ts";
import type { AskOptions } from "../sign_in/flow.ts";
import { BoundKey, providerNow, toEntry } from "./new_entry.ts";
import { type CredentialStore, isOtherGrant, isSpent, markSpent, Reservation } from "./store.ts";
import { singleFlight, takeTurn } from "./turns.ts";

/** Loaded where a token is refreshed or revoked, or a person is asked. */
const loadProvider = () => import("../provider/oidc_provider.ts");

/** Loaded where a token is refreshed. */
const loadRefreshGrant = () => import("../provider/refresh_grant.ts");

/** Loaded where a refresh does not go through. */
const loadReasons = () => import("./login_required.ts");

/** Loaded where somebody listens to what happens. */
const loadDescription = () => import("../../backends/common/describe_backend.ts");

/** Loaded where a sign-out came before the end of a refresh. */
const loadClear = () => import("./clear.ts");

export interface TokenRefreshOptions {
  identity: OidcIdentity;
  /** The token that goes on requests. */
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  store: CredentialStore;
  /** The entry in the memory of the session. */
  held: () => OidcCredentials | undefined;
  /** Whether a person may be asked, and how: a long wait is shown to this person. */
  ask: AskOptions | undefined;
}

/** Refreshes the tokens of one identity: one refresh at a time, as widely as the store can lock. */
export class TokenRefresh {
  readonly #options: TokenRefreshOptions;
  readonly #store: CredentialStore;
  readonly #provider = new Once<OidcProvider>();
  readonly key: BoundKey;

  constructor(options: TokenRefreshOptions) {
    this.#options = options;
    this.#store = options.store;
    this.key = new BoundKey(options.identity.dpop === true);
  }

  /** Loads the code of a refresh. */
  async prepare(): Promise<void> {
    await this.provider();
    await loadRefreshGrant();
  }

  /** The provider, loaded at the first need. */
  async provider(): Promise<OidcProvider> {
    return await this.#provider.get(async () => {
      await loadCompiled();
      const { openProvider } = await loadProvider();
      return openProvider(this.#options.identity, this.#options.runtime);
    });
  }

  /**
   * The entry with a live bearer other than `rejected`: of this refresh, or of a concurrent one. The
   * calls of this process join, and other processes wait.
   */
  async run(rejected: string | undefined, signal?: AbortSignal): Promise<OidcCredentials> {
    let isJoined = false;
    const entry = await this.#join(rejected, signal, () => isJoined = true);
    // The joined run may have begun before the bearer was rejected.
    const isRejected = rejected !== undefined && this.#bearerIn(entry)?.token === rejected;
    return isRejected || isJoined && this.#hasEnded(entry)
      ? await this.#join(rejected, signal)
      : entry;
  }

  /** Whether the clock of the joined session's caller is far from this one. */
  #hasEnded(entry: OidcCredentials): boolean {
    const { bearer: kind, runtime, identity } = this.#options;
    const bearer = this.#bearerIn(entry);
    return bearer !== undefined && providerNow(runtime, kind, identity.issuer) >= bearer.expiresAt;
  }

  async #join(
    rejected: string | undefined,
    signal?: AbortSignal,
    onJoin: () => void = () => {},
  ): Promise<OidcCredentials> {
    const { identity, bearer, runtime, ask } = this.#options;
    const { emit } = runtime;
    const store = this.#store;
    const report = { emit, issuer: identity.issuer, ask };
    const peek = () => this.#peek(rejected);
    return await singleFlight(
      store.owner,
      `${bearer} ${store.key}`,
      (ended) => takeTurn(store, () => this.#runLocked(rejected), { signal: ended, peek }, report),
      signal,
      () => {
        onJoin();
        emit?.({ type: "refresh_joined" });
      },
    );
  }

  /** The entry that another process has refreshed while this one waits for the lock. */
  async #peek(rejected: string | undefined): Promise<OidcCredentials | undefined> {
    const stored = await this.#store.peek();
    const bearer = stored && this.#bearerIn(stored);
    if (!isFresh(bearer, this.#options.runtime.now()) || bearer.token === rejected) {
      return undefined;
    }
    this.#options.runtime.emit?.({ type: "refresh_joined" });
    return stored;
  }

  async #runLocked(rejected: string | undefined, isAgain = false): Promise<OidcCredentials> {
    const { now, emit } = this.#options.runtime;
    const { stored, obstacle } = await this.#loadUsable();
    const current = this.#bearerIn(stored);
    const isAccepted = current?.token !== rejected;
    if (isAccepted && isFresh(current, now())) {
      emit?.({ type: "refresh_joined" });
      return stored;
    }
    if (obstacle !== undefined) {
      if (isAccepted && current !== undefined && now() < current.expiresAt) return stored;
      throw await this.#loginRequired(obstacle);
    }
    try {
      return await this.#exchange(stored) ?? await this.#runLocked(rejected, isAgain);
    } catch (error) {
      const { isRefusal } = await loadReasons();
      if (!isRefusal(error)) throw error;
      return await this.#afterRefusal(stored, error, rejected, isAgain);
    }
  }

  /**
   * The stored entry, and the reason why its refresh token must not be sent. The store may hold an older
   * copy of the session's entry, for instance from a program that does not lock. The newer one is put
   * back then.
   */
  async #loadUsable(): Promise<{ stored: OidcCredentials; obstacle?: string }> {
    const store = this.#store;
    const stored = await store.loadLocked();
    if (stored === undefined) throw await this.#loginRequired("no sign-in is stored");
    if (!await this.key.isIn(stored)) {
      throw await this.#loginRequired((await loadReasons()).NO_KEY);
    }
    if (!stored.refresh_token) {
      const { noRefreshToken } = await loadReasons();
      return { stored, obstacle: noRefreshToken(this.#options.identity) };
    }
    if (!await isSpent(store, stored.refresh_token)) return { stored };
    const held = this.#options.held();
    if (!held?.refresh_token || await isSpent(store, held.refresh_token)) {
      return { stored, obstacle: "the stored refresh token is used up" };
    }
    // A sign-out or another grant that comes in between wins.
    if (!await store.replace(held, stored)) return await this.#loadUsable();
    await this.#reportStored(held);
    return { stored: held };
  }

  /**
   * Trades the refresh token of an entry, and stores the new entry. `undefined` where the store holds
   * another grant by then.
   */
  async #exchange(stored: OidcCredentials): Promise<OidcCredentials | undefined> {
    const { identity, bearer, runtime } = this.#options;
    const { emit } = runtime;
    const store = this.#store;
    await using place = new Reservation(store.backend, stored);
    const answer = await this.#request(stored, place);
    if (answer === undefined) return undefined;
    const rotated = answer.tokens?.refreshToken ??
      (answer.tokens ? undefined : answer.refreshToken);
    if (rotated !== undefined && rotated !== stored.refresh_token) {
      await markSpent(store, stored.refresh_token!);
    }
    if (answer.tokens === undefined) {
      emit?.({ type: "refresh_failed", ...codeOf(answer.error) });
      await store.replace({ ...stored, refresh_token: answer.refreshToken }, stored);
      throw answer.error;
    }
    const now = providerNow(runtime, bearer, identity.issuer);
    const entry = toEntry(answer.tokens, identity, bearer, now, stored);
    emit?.({ type: "refresh_done", ...this.#endOf(entry) });
    if (await store.replace(entry, stored)) {
      await this.#reportStored(entry);
      return entry;
    }
    if (await store.loadLocked() !== undefined) return undefined;
    // The sign-out wins, and nobody else has these tokens to end them.
    const { revokeTokens } = await loadClear();
    const { accessToken, refreshToken } = answer.tokens;
    await revokeTokens(() => this.provider(), { accessToken, refreshToken });
    throw await this.#loginRequired("the sign-in was removed while its token was refreshed");
  }

  /**
   * Sends the refresh token of an entry, once the store is known to accept its successor. `undefined`
   * where the store holds another grant by then: this process may have stood still, and its lock been
   * taken over. A refresh token that was used meanwhile would cost the sign-in where the provider
   * detects its reuse.
   */
  async #request(stored: OidcCredentials, place: Reservation): Promise<RefreshAnswer | undefined> {
    const { identity, runtime } = this.#options;
    try {
      runtime.emit?.({ type: "refresh_started" });
      // The request goes out while the code that reads its answer is loaded.
      using discovery = this.#provider.kept
        ? undefined
        : requestDiscovery(identity.issuer, runtime);
      const provider = await this.provider();
      const { refreshTokens, subjectOf } = await loadRefreshGrant();
      const dpopKey = await this.key.import(stored.dpop_key);
      await provider.prepare("refresh the sign-in", discovery);
      await place.ready();
      const latest = await this.#store.loadLocked();
      if (latest === undefined || isOtherGrant(latest, stored)) return undefined;
      const refreshToken = stored.refresh_token!;
      return await refreshTokens(provider, { refreshToken, subject: subjectOf(stored), dpopKey });
    } catch (error) {
      runtime.emit?.({ type: "refresh_failed", ...codeOf(error) });
      throw error;
    }
  }

  /**
   * Another process may have rotated the token meanwhile: its entry is used then. Without a lock it may
   * still be about to store its entry, which a removal here would make look like a sign-out to it.
   */
  async #afterRefusal(
    refused: OidcCredentials,
    error: ValidMindAuthError & { answer?: string },
    rejected: string | undefined,
    isAgain: boolean,
  ): Promise<OidcCredentials> {
    const store = this.#store;
    // A refusal that only asks for the person may pass later, for instance in another network.
    if (error.oauthError === "invalid_grant") {
      await markSpent(store, refused.refresh_token!);
      if (store.backend.withLock !== undefined) await store.removeRefused(refused);
    }
    const stored = await store.loadLocked();
    if (stored !== undefined && isOtherGrant(stored, refused) && !isAgain) {
      return await this.#runLocked(rejected, true);
    }
    const answer = error.answer ?? error.oauthError;
    throw await this.#loginRequired(`the provider ended the sign-in: it answered ${answer}`, error);
  }

  /**
   * Stores the entry of a new sign-in. Under the lock, so that a concurrent refresh of the former tokens
   * does not overwrite it.
   */
  async saveNew(entry: OidcCredentials): Promise<void> {
    try {
      await this.#store.withLock(() => this.#save(entry, "anything"));
    } catch (error) {
      if (error instanceof ValidMindAuthError) throw error; // the save has kept the entry
      throw await this.#store.keepUnstored(entry, "anything", error);
    }
  }

  async #save(entry: OidcCredentials, replaces: OidcCredentials | "anything"): Promise<void> {
    await this.#store.save(entry, replaces);
    await this.#reportStored(entry);
  }

  async #reportStored(entry: OidcCredentials): Promise<void> {
    const { emit } = this.#options.runtime;
    if (emit === undefined) return;
    const { backendName } = await loadDescription();
    emit({ type: "stored", backend: backendName(this.#store.backend), ...this.#endOf(entry) });
  }

  #endOf(entry: OidcCredentials): { expiresAt?: Date } {
    const bearer = this.#bearerIn(entry);
    return bearer === undefined ? {} : { expiresAt: new Date(bearer.expiresAt) };
  }

  #bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.#options.bearer);
  }

  async #loginRequired(reason: string, cause?: Error): Promise<ValidMindAuthError> {
    const { identity, store } = this.#options;
    const { loginRequired } = await loadReasons();
    return loginRequired(identity, store.backend, reason, cause);
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
