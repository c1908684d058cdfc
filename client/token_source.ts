import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { untilAborted } from "../backends/until_aborted.ts";
import { type Bearer, bearerOf, coversScope, isFresh, subjectOf, toEntry } from "./credentials.ts";
import { backendName, type CredentialStore, isOtherGrant } from "./credential_store.ts";
import { ValidMindAuthError } from "./errors.ts";
import { codeOf, type Emit } from "./event_sink.ts";
import { SKEW_SECONDS } from "./is_expired.ts";
import { loadProvider } from "./load_provider.ts";
import { withToldLock } from "./lock_wait.ts";
import { loginRequired } from "./login_required.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import type { AskOptions } from "./prompt/sign_in_by_device.ts";
import type { OidcIdentity, Runtime } from "./resolve_options.ts";
import { singleFlight } from "./single_flight.ts";
import { StoredKeys } from "./stored_keys.ts";
import { isRefusal, noIdToken } from "./token_errors.ts";
import type { RefreshAnswer, TokenSet } from "./token_set.ts";

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/** Faults of others that say nothing of the token: provider and store may be back in a moment. */
const BRIDGED: unknown[] = [
  "provider_unavailable",
  "backend_locked",
  "backend_timeout",
  "backend_unavailable",
];

const OTHER_SCOPE = "what is stored meanwhile was asked for with another scope (to use both at " +
  "once, give each a profile of its own)";

const NO_KEY = "the key of the stored tokens is missing or damaged";

/** What {@linkcode TokenSource} is told. */
export interface TokenSourceOptions {
  identity: OidcIdentity;
  store: CredentialStore;
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  /** Whether a person may be asked. */
  interactive: boolean;
  /** How a person is asked. */
  ask: AskOptions;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/** Keeps one identity's bearer token fresh: from the store, by refresh, or by asking the person. */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  readonly #now: () => number;
  readonly #emit: Emit | undefined;
  readonly #keys: StoredKeys;
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  /** Until when the bearer is given out without a look at anything else. */
  #freshUntil = 0;
  #forgets = 0;
  #provider: Promise<OidcProvider> | undefined;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    this.#now = options.runtime.now;
    this.#emit = options.runtime.emit;
    this.#keys = new StoredKeys(options.identity.dpop === true);
  }

  /** The entry in use, for display. */
  get entry(): OidcCredentials | undefined {
    return this.#entry;
  }

  /** The bearer in use, fresh or not. */
  get bearer(): Bearer | undefined {
    return this.#bearer;
  }

  /** From the store without any network where possible, else by refresh, else by the person. */
  async signIn(signal?: AbortSignal): Promise<void> {
    const { store, identity, bearer, beforeProvider } = this.#options;
    const stored = await untilAborted(store.load(), signal);
    const isUsable = stored !== undefined && coversScope(stored, identity.scope) &&
      await this.#keys.isIn(stored);
    if (isUsable) {
      this.#adopt(stored);
      if (isFresh(bearerOf(stored, bearer), this.#now())) return;
    }
    const canRenew = isUsable && Boolean(stored.refresh_token);
    if (!canRenew) this.#assertMayAsk();
    await beforeProvider();
    if (canRenew && await this.#tryRenew(signal)) return;
    await this.#login(signal);
  }

  /**
   * The bearer token, refreshed if it is about to end. Never asks the person: a call in the
   * background would ask out of nowhere.
   *
   * @param rejected A bearer that the API refused, to be replaced unless somebody already has.
   */
  async accessToken(rejected?: string, signal?: AbortSignal): Promise<string> {
    return (await this.#current(rejected, signal)).token;
  }

  /** The same, with the key that the token is bound to, if it is. */
  async credential(
    rejected?: string,
    signal?: AbortSignal,
  ): Promise<{ token: string; dpopKey?: CryptoKeyPair }> {
    const { token, dpopKey } = await this.#current(rejected, signal);
    const { identity } = this.#options;
    if (!identity.dpop) return { token };
    const pair = await this.#keys.import(dpopKey);
    if (pair === undefined) throw this.#loginRequired(NO_KEY);
    return { token, dpopKey: pair };
  }

  /** Forgets the tokens of this session; the store is the caller's business. */
  forget(): void {
    this.#forgets++;
    this.#entry = undefined;
    this.#bearer = undefined;
    this.#freshUntil = 0;
    this.#keys.forget();
  }

  /** Loads what a refresh needs, while it may still be read from the disk or fetched. */
  async prepareRefresh(): Promise<void> {
    await this.provider();
  }

  /** The provider, loaded at the first need: a start from a stored token never needs it. */
  provider(): Promise<OidcProvider> {
    const { identity, runtime } = this.#options;
    this.#provider ??= loadProvider(identity, runtime);
    return this.#provider;
  }

  async #current(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    if (rejected === undefined && this.#now() < this.#freshUntil) return this.#bearer!;
    return await this.#renew(rejected, signal);
  }

  #adopt(entry: OidcCredentials): void {
    this.#entry = entry;
    this.#bearer = bearerOf(entry, this.#options.bearer);
    this.#freshUntil = (this.#bearer?.expiresAt ?? 0) - SKEW_SECONDS * 1000;
  }

  async #tryRenew(signal?: AbortSignal): Promise<boolean> {
    try {
      await this.#renew(undefined, signal);
      return true;
    } catch (error) {
      if (error instanceof ValidMindAuthError && error.code === "login_required") return false;
      throw error;
    }
  }

  async #renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    try {
      const forgets = this.#forgets;
      const entry = await this.#sharedRenewal(rejected, signal);
      if (!coversScope(entry, this.#options.identity.scope)) {
        throw this.#loginRequired(OTHER_SCOPE);
      }
      if (forgets === this.#forgets) this.#adoptRenewed(entry); // else a sign-out came in between
      const bearer = this.#bearerIn(entry);
      if (this.#isAlive(bearer)) return bearer;
      throw noIdToken(this.#options.identity.issuer);
    } catch (error) {
      if (rejected === undefined && this.#bridges(error)) return this.#bearer!;
      throw error;
    }
  }

  /** A token that lives for less than the skew is used for half its time, not refreshed each time. */
  #adoptRenewed(entry: OidcCredentials): void {
    this.#adopt(entry);
    const now = this.#now();
    const leftMs = (this.#bearer?.expiresAt ?? 0) - now;
    if (leftMs > 0 && leftMs <= SKEW_SECONDS * 1000) this.#freshUntil = now + leftMs / 2;
  }

  /** One refresh at a time per credential: others of this process join, those of others wait. */
  async #sharedRenewal(rejected: string | undefined, signal?: AbortSignal) {
    const { store, bearer, identity } = this.#options;
    const renew = () =>
      singleFlight(
        store.identity,
        `${bearer} ${store.key}`,
        (ended) =>
          withToldLock(
            store,
            () => this.#renewLocked(rejected),
            { signal: ended, peek: () => this.#peekRenewed(rejected) },
            { emit: this.#emit, issuer: this.#mayTell() ? identity.issuer : undefined },
          ),
        signal,
        () => this.#emit?.({ type: "refresh_joined" }),
      );
    const entry = await renew();
    // The run that was joined may have begun before the bearer was refused.
    const isRejected = rejected !== undefined && this.#bearerIn(entry)?.token === rejected;
    return isRejected ? await renew() : entry;
  }

  /** Whether the person may be told anything: not where that is the caller's business. */
  #mayTell(): boolean {
    return this.#options.interactive && this.#options.ask.onDeviceCode === undefined;
  }

  /** The entry that another process has refreshed while this one waits for the lock, if it has. */
  async #peekRenewed(rejected: string | undefined): Promise<OidcCredentials | undefined> {
    const stored = await this.#options.store.peek();
    const bearer = stored && this.#bearerIn(stored);
    if (!isFresh(bearer, this.#now()) || bearer.token === rejected) return undefined;
    this.#emit?.({ type: "refresh_joined" });
    return stored;
  }

  async #renewLocked(rejected: string | undefined, isAgain = false): Promise<OidcCredentials> {
    const { store, identity, bearer } = this.#options;
    const stored = await store.loadLocked();
    if (stored === undefined) throw this.#loginRequired("no credentials are stored");
    if (!await this.#keys.isIn(stored)) throw this.#loginRequired(NO_KEY);
    const current = this.#bearerIn(stored);
    const isAccepted = current?.token !== rejected;
    if (isAccepted && isFresh(current, this.#now())) {
      this.#emit?.({ type: "refresh_joined" });
      return stored;
    }
    if (!stored.refresh_token) {
      if (isAccepted && this.#isAlive(current)) return stored;
      throw this.#loginRequired("the token has ended and there is no refresh token");
    }
    let answer: RefreshAnswer;
    try {
      this.#emit?.({ type: "refresh_started" });
      const provider = await this.provider();
      const key = await this.#keys.import(stored.dpop_key);
      answer = await provider.refresh(stored.refresh_token, subjectOf(stored), key);
    } catch (error) {
      this.#emit?.({ type: "refresh_failed", ...codeOf(error) });
      if (!isRefusal(error)) throw error;
      return await this.#afterRefusal(stored, error, rejected, isAgain);
    }
    if (answer.tokens === undefined) {
      this.#emit?.({ type: "refresh_failed", ...codeOf(answer.error) });
      await store.save({ ...stored, refresh_token: answer.refreshToken }, stored);
      throw answer.error;
    }
    const entry = toEntry(answer.tokens, identity, bearer, this.#now(), stored);
    this.#emit?.({ type: "refresh_done", ...this.#endOf(entry) });
    await this.#save(entry, stored);
    return entry;
  }

  /** Without a lock another process may have rotated the token meanwhile: then its entry is used. */
  async #afterRefusal(
    refused: OidcCredentials,
    error: ValidMindAuthError,
    rejected: string | undefined,
    isAgain: boolean,
  ): Promise<OidcCredentials> {
    const { store } = this.#options;
    // What only wants the person to be there may pass again, say, in another network.
    if (error.oauthError === "invalid_grant") await store.removeRefused(refused);
    const stored = await store.loadLocked();
    if (stored !== undefined && isOtherGrant(stored, refused) && !isAgain) {
      return await this.#renewLocked(rejected, true);
    }
    throw this.#loginRequired("the provider refused the refresh token", error);
  }

  async #login(signal?: AbortSignal): Promise<void> {
    const { store, identity, bearer } = this.#options;
    this.#assertMayAsk();
    // Who asks for another scope or token cannot join: the answer would not be what was asked for.
    const flight = `login ${bearer} ${identity.scope} ${store.key}`;
    const ask = (ended: AbortSignal) => this.#ask(ended);
    const joined = () => this.#emit?.({ type: "sign_in_joined" });
    const entry = await singleFlight(store.identity, flight, ask, signal, joined);
    this.#adoptRenewed(entry);
    if (this.#bearer === undefined) throw noIdToken(identity.issuer);
  }

  #assertMayAsk(): void {
    if (this.#options.interactive) return;
    throw this.#loginRequired("a person must sign in, and asking is switched off");
  }

  async #ask(signal: AbortSignal): Promise<OidcCredentials> {
    const { store, identity, bearer, runtime, ask } = this.#options;
    await untilAborted(store.probe(), signal);
    const { signInByDevice } = await import("./prompt/sign_in_by_device.ts");
    const provider = await this.provider();
    let entry: OidcCredentials;
    const keep = async (tokens: TokenSet) => {
      entry = toEntry(tokens, identity, bearer, this.#now());
      await this.#storeNew(entry);
      return bearerOf(entry, bearer);
    };
    const { backend } = store;
    await signInByDevice(provider, { runtime, signal, backend, keep, ...ask });
    return entry!;
  }

  /** Under the lock, so that a refresh of the former tokens does not overwrite the new ones. */
  async #storeNew(entry: OidcCredentials): Promise<void> {
    const { store } = this.#options;
    try {
      await store.withLock(() => this.#save(entry, "anything"));
    } catch (error) {
      if (error instanceof ValidMindAuthError) throw error; // the save has kept the entry
      throw store.keepUnstored(entry, "anything", error);
    }
  }

  async #save(entry: OidcCredentials, replaces: OidcCredentials | "anything"): Promise<void> {
    const { store } = this.#options;
    await store.save(entry, replaces);
    this.#emit?.({ type: "stored", backend: backendName(store.backend), ...this.#endOf(entry) });
  }

  #endOf(entry: OidcCredentials): { expiresAt?: Date } {
    const bearer = this.#bearerIn(entry);
    return bearer === undefined ? {} : { expiresAt: new Date(bearer.expiresAt) };
  }

  #bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.#options.bearer);
  }

  #isAlive(bearer: Bearer | undefined): bearer is Bearer {
    return bearer !== undefined && this.#now() < bearer.expiresAt;
  }

  #loginRequired(reason: string, cause?: Error): ValidMindAuthError {
    const { identity, store } = this.#options;
    return loginRequired(identity, store.backend, reason, cause);
  }

  /** Whether a token in its last minutes is used on, since nobody refused anything. */
  #bridges(error: unknown): boolean {
    const code = (error as { code?: unknown } | null)?.code;
    if (!BRIDGED.includes(code)) return false;
    // Tokens that could not be stored stay usable while the store does not even give its lock.
    const { pending } = this.#options.store;
    if (pending !== undefined) this.#adopt(pending);
    const bearer = this.#bearer;
    if (!this.#isAlive(bearer)) return false;
    this.#freshUntil = Math.min(bearer.expiresAt, this.#now() + BRIDGE_MS);
    return true;
  }
}
