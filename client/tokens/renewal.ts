import { untilAborted } from "../../backends/common/delay.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { backendName } from "../../backends/common/describe_backend.ts";
import { CredentialStore, isOtherGrant } from "./store.ts";
import { singleFlight, takeTurn } from "./turns.ts";
import {
  type Bearer,
  bearerOf,
  coversScope,
  isFresh,
  SKEW_SECONDS,
  subjectOf,
  toEntry,
  type TokenSet,
} from "../entry.ts";
import { codeOf, ValidMindAuthError } from "../errors.ts";
import { isRefusal, loginRequired, noIdToken } from "./login_required.ts";
import { requestDiscovery } from "../provider/early_discovery.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { Emit, Runtime } from "../options/runtime.ts";
import type { RefreshAnswer } from "../provider/refresh_grant.ts";
import type { HeldTokens, Renewal, StoredCredential } from "./source.ts";
import type { AskOptions } from "../sign_in/device.ts";
import type { OidcIdentity } from "../options/identity.ts";

/** Loaded where a token is refreshed or a person is asked. */
const loadProvider = () => import("../provider/oidc_provider.ts");

/** Loaded where a token is refreshed. */
const loadRefreshGrant = () => import("../provider/refresh_grant.ts");

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

/** Options of {@linkcode TokenRenewal}. */
export interface TokenRenewalOptions {
  identity: OidcIdentity;
  stored: StoredCredential;
  /** The token that goes on requests. */
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  /** Whether a person may be asked. */
  interactive: boolean;
  ask: AskOptions;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/** Renews the tokens of one identity: by a refresh, or by asking the person. */
export class TokenRenewal implements Renewal {
  readonly #options: TokenRenewalOptions;
  readonly #held: HeldTokens;
  readonly #store: CredentialStore;
  readonly #now: () => number;
  readonly #emit: Emit | undefined;
  #provider: Promise<OidcProvider> | undefined;
  #key: { x: unknown; pair: Promise<CryptoKeyPair | undefined> } | undefined;

  constructor(options: TokenRenewalOptions, held: HeldTokens) {
    const { stored, runtime } = options;
    this.#options = options;
    this.#held = held;
    this.#store = new CredentialStore(stored.backend, stored.key);
    this.#now = runtime.now;
    this.#emit = runtime.emit;
  }

  /**
   * From the store, else by refresh, else by the person.
   *
   * @param read What the store holds, if it was looked at already.
   */
  async signIn(
    read: { entry: OidcCredentials | undefined } | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const { identity, beforeProvider } = this.#options;
    const stored = read === undefined ? await untilAborted(this.#store.load(), signal) : read.entry;
    const isUsable = stored !== undefined && coversScope(stored, identity.scope) &&
      await this.#hasKey(stored);
    if (isUsable) {
      this.#held.adopt(stored);
      if (isFresh(this.#held.bearer, this.#now())) return;
    }
    const canRenew = isUsable && Boolean(stored.refresh_token);
    if (!canRenew) this.#assertMayAsk();
    await beforeProvider();
    if (canRenew && await this.#tryRenew(signal)) return;
    await this.#login(signal);
  }

  /** The key that a bearer is bound to. */
  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.#importKey(dpopKey);
    if (pair === undefined) throw this.#loginRequired(NO_KEY);
    return pair;
  }

  /** Drops the key from memory. */
  forgetKey(): void {
    this.#key = undefined;
  }

  async prepareRefresh(): Promise<void> {
    await Promise.all([this.provider(), loadRefreshGrant()]);
  }

  /** The provider, loaded at the first need. */
  provider(): Promise<OidcProvider> {
    const { identity, runtime } = this.#options;
    this.#provider ??= loadProvider().then(({ openProvider }) => openProvider(identity, runtime));
    return this.#provider;
  }

  async #tryRenew(signal?: AbortSignal): Promise<boolean> {
    try {
      await this.renew(undefined, signal);
      return true;
    } catch (error) {
      if (error instanceof ValidMindAuthError && error.code === "login_required") return false;
      throw error;
    }
  }

  /** A bearer that is alive: the one that somebody else has got meanwhile, or a new one. */
  async renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    try {
      const { forgets } = this.#held;
      const entry = await this.#sharedRenewal(rejected, signal);
      if (!coversScope(entry, this.#options.identity.scope)) {
        throw this.#loginRequired(OTHER_SCOPE);
      }
      if (forgets === this.#held.forgets) this.#adoptRenewed(entry); // else a sign-out came in between
      const bearer = this.#bearerIn(entry);
      if (this.#isAlive(bearer)) return bearer;
      throw noIdToken(this.#options.identity.issuer);
    } catch (error) {
      if (rejected === undefined && this.#bridges(error)) return this.#held.bearer!;
      throw error;
    }
  }

  /** A token that lives for less than the skew is used for half its time, not refreshed each time. */
  #adoptRenewed(entry: OidcCredentials): void {
    this.#held.adopt(entry);
    const now = this.#now();
    const leftMs = (this.#held.bearer?.expiresAt ?? 0) - now;
    if (leftMs > 0 && leftMs <= SKEW_SECONDS * 1000) this.#held.useUntil(now + leftMs / 2);
  }

  /** One refresh at a time per credential: others of this process join, those of others wait. */
  async #sharedRenewal(rejected: string | undefined, signal?: AbortSignal) {
    const { bearer, identity } = this.#options;
    const store = this.#store;
    const renew = () =>
      singleFlight(
        store.owner,
        `${bearer} ${store.key}`,
        (ended) =>
          takeTurn(
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
    const stored = await this.#store.peek();
    const bearer = stored && this.#bearerIn(stored);
    if (!isFresh(bearer, this.#now()) || bearer.token === rejected) return undefined;
    this.#emit?.({ type: "refresh_joined" });
    return stored;
  }

  async #renewLocked(rejected: string | undefined, isAgain = false): Promise<OidcCredentials> {
    const { identity, bearer } = this.#options;
    const store = this.#store;
    const stored = await store.loadLocked();
    if (stored === undefined) throw this.#loginRequired("no credentials are stored");
    if (!await this.#hasKey(stored)) throw this.#loginRequired(NO_KEY);
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
    let answer: RefreshAnswer | undefined;
    try {
      this.#emit?.({ type: "refresh_started" });
      answer = await this.#refresh(stored);
    } catch (error) {
      this.#emit?.({ type: "refresh_failed", ...codeOf(error) });
      if (!isRefusal(error)) throw error;
      return await this.#afterRefusal(stored, error, rejected, isAgain);
    }
    if (answer === undefined) return await this.#renewLocked(rejected, isAgain);
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

  /**
   * Refreshes what is stored; `undefined` where it is no longer that. Until the request goes out this
   * process may have stood still, and its lock been taken over: to send a refresh token that somebody
   * has used meanwhile costs the sign-in where the provider detects it.
   */
  async #refresh(stored: OidcCredentials): Promise<RefreshAnswer | undefined> {
    const { identity, runtime } = this.#options;
    // Meanwhile what reads the answer is loaded.
    using discovery = this.#provider ? undefined : requestDiscovery(identity.issuer, runtime);
    const [provider, { refreshTokens }] = await Promise.all([this.provider(), loadRefreshGrant()]);
    const key = await this.#importKey(stored.dpop_key);
    await provider.prepare("refresh the sign-in", discovery);
    const latest = await this.#store.loadLocked();
    if (latest === undefined || isOtherGrant(latest, stored)) return undefined;
    return await refreshTokens(provider, {
      refreshToken: stored.refresh_token!,
      subject: subjectOf(stored),
      dpopKey: key,
    });
  }

  /** Without a lock another process may have rotated the token meanwhile: then its entry is used. */
  async #afterRefusal(
    refused: OidcCredentials,
    error: ValidMindAuthError,
    rejected: string | undefined,
    isAgain: boolean,
  ): Promise<OidcCredentials> {
    const store = this.#store;
    // What only wants the person to be there may pass again, say, in another network.
    if (error.oauthError === "invalid_grant") await store.removeRefused(refused);
    const stored = await store.loadLocked();
    if (stored !== undefined && isOtherGrant(stored, refused) && !isAgain) {
      return await this.#renewLocked(rejected, true);
    }
    throw this.#loginRequired("the provider refused the refresh token", error);
  }

  async #login(signal?: AbortSignal): Promise<void> {
    const { identity, bearer } = this.#options;
    const store = this.#store;
    this.#assertMayAsk();
    // Who asks for another scope or token cannot join: the answer would not be what was asked for.
    const flight = `login ${bearer} ${identity.scope} ${store.key}`;
    const ask = (ended: AbortSignal) => this.#ask(ended);
    const joined = () => this.#emit?.({ type: "sign_in_joined" });
    const entry = await singleFlight(store.owner, flight, ask, signal, joined);
    this.#adoptRenewed(entry);
    if (this.#held.bearer === undefined) throw noIdToken(identity.issuer);
  }

  #assertMayAsk(): void {
    if (this.#options.interactive) return;
    throw this.#loginRequired("a person must sign in, and asking is switched off");
  }

  async #ask(signal: AbortSignal): Promise<OidcCredentials> {
    const { identity, bearer, runtime, ask } = this.#options;
    const store = this.#store;
    await untilAborted(store.probe(), signal);
    const { signInByDevice } = await import("../sign_in/device.ts");
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
    const store = this.#store;
    try {
      await store.withLock(() => this.#save(entry, "anything"));
    } catch (error) {
      if (error instanceof ValidMindAuthError) throw error; // the save has kept the entry
      throw store.keepUnstored(entry, "anything", error);
    }
  }

  async #save(entry: OidcCredentials, replaces: OidcCredentials | "anything"): Promise<void> {
    const store = this.#store;
    await store.save(entry, replaces);
    this.#emit?.({ type: "stored", backend: backendName(store.backend), ...this.#endOf(entry) });
  }

  /** Whether an entry has the key that its tokens are bound to, and none where none is wanted. */
  async #hasKey({ dpop_key }: OidcCredentials): Promise<boolean> {
    const pair = await this.#importKey(dpop_key);
    return this.#options.identity.dpop ? pair !== undefined : !dpop_key;
  }

  /**
   * A stored key for use, or `undefined` where there is none. The same object each time for the same
   * key, since what servers asked for in its proofs is remembered by it.
   */
  async #importKey(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    if (!this.#options.identity.dpop) return undefined;
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    if (this.#key === undefined || this.#key.x !== x) {
      const pair = import("../provider/dpop_key.ts").then(({ importDpopKey }) =>
        importDpopKey(jwk)
      );
      this.#key = { x, pair };
    }
    return await this.#key.pair;
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
    const { identity, stored } = this.#options;
    return loginRequired(identity, stored.backend, reason, cause);
  }

  /** Whether a token in its last minutes is used on, since nobody refused anything. */
  #bridges(error: unknown): boolean {
    const code = (error as { code?: unknown } | null)?.code;
    if (!BRIDGED.includes(code)) return false;
    // Tokens that could not be stored stay usable while the store does not even give its lock.
    const { unstored } = this.#store;
    if (unstored !== undefined) this.#held.adopt(unstored);
    const { bearer } = this.#held;
    if (!this.#isAlive(bearer)) return false;
    this.#held.useUntil(Math.min(bearer.expiresAt, this.#now() + BRIDGE_MS));
    return true;
  }
}
