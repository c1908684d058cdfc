import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { readEnvIfGranted } from "../backends/read_env.ts";
import { untilAborted } from "../backends/until_aborted.ts";
import { type Bearer, bearerOf, coversScope, isFresh, toEntry } from "./credentials.ts";
import type { CredentialStore } from "./credential_store.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { DeviceCode } from "./init_options.ts";
import { SKEW_SECONDS } from "./is_expired.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import type { Identity, Runtime } from "./resolve_options.ts";
import { singleFlight } from "./single_flight.ts";

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/** What {@linkcode TokenSource} is told. */
export interface TokenSourceOptions {
  identity: Extract<Identity, { kind: "oidc" }>;
  store: CredentialStore;
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  interactive: boolean | undefined;
  onDeviceCode: ((code: DeviceCode) => void | Promise<void>) | undefined;
}

/** Keeps one identity's bearer token fresh: from the store, by refresh, or by asking the person. */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  readonly #now: () => number;
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  /** Until when the bearer is given out without a look at anything else. */
  #freshUntil = 0;
  #provider: Promise<OidcProvider> | undefined;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    this.#now = options.runtime.now;
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
    const { store, identity, bearer } = this.#options;
    const stored = await store.load();
    if (stored !== undefined && coversScope(stored, identity.scope)) {
      this.#adopt(stored);
      if (isFresh(bearerOf(stored, bearer), this.#now())) return;
      if (stored.refresh_token && await this.#tryRenew(signal)) return;
    }
    await this.#login(signal);
  }

  /**
   * The bearer token, refreshed if it is about to end. Never asks the person: a call in the
   * background would ask out of nowhere.
   *
   * @param rejected A bearer that the API refused, to be replaced unless somebody already has.
   */
  async accessToken(rejected?: string, signal?: AbortSignal): Promise<string> {
    if (rejected === undefined && this.#now() < this.#freshUntil) return this.#bearer!.token;
    return await this.#renew(rejected, signal);
  }

  /** Forgets the tokens of this session; the store is the caller's business. */
  forget(): void {
    this.#entry = undefined;
    this.#bearer = undefined;
    this.#freshUntil = 0;
  }

  /** The provider, loaded at the first need: a start from a stored token never needs it. */
  provider(): Promise<OidcProvider> {
    const { identity, runtime } = this.#options;
    this.#provider ??= import("./oidc_provider.ts").then(({ OidcProvider }) =>
      new OidcProvider(identity, runtime)
    );
    return this.#provider;
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

  async #renew(rejected: string | undefined, signal?: AbortSignal): Promise<string> {
    try {
      const entry = await this.#sharedRenewal(rejected, signal);
      this.#adopt(entry);
      const bearer = this.#bearer;
      if (isFresh(bearer, this.#now()) || this.#isAlive(bearer)) return bearer!.token;
      throw noIdToken(this.#options.identity.issuer);
    } catch (error) {
      if (rejected === undefined && this.#bridges(error)) return this.#bearer!.token;
      throw error;
    }
  }

  /** One refresh at a time per credential: others of this process join, those of others wait. */
  async #sharedRenewal(rejected: string | undefined, signal?: AbortSignal) {
    const { store } = this.#options;
    const renew = () =>
      singleFlight(
        store.backend,
        store.key,
        () => store.withLock(() => this.#renewLocked(rejected)),
      );
    const entry = await untilAborted(renew(), signal);
    // The run that was joined may have begun before the bearer was refused.
    const isRejected = rejected !== undefined && this.#bearerIn(entry)?.token === rejected;
    return isRejected ? await untilAborted(renew(), signal) : entry;
  }

  async #renewLocked(rejected: string | undefined): Promise<OidcCredentials> {
    const { store, identity, bearer } = this.#options;
    const stored = await store.load();
    if (stored === undefined) throw loginRequired(identity.issuer, "no credentials are stored");
    const current = this.#bearerIn(stored);
    if (isFresh(current, this.#now()) && current.token !== rejected) return stored;
    if (!stored.refresh_token) {
      throw loginRequired(identity.issuer, "the token has ended and there is no refresh token");
    }
    try {
      const provider = await this.provider();
      const tokens = await provider.refresh(stored.refresh_token);
      const entry = toEntry(tokens, identity, bearer, this.#now(), stored);
      await store.save(entry, stored);
      return entry;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return await this.#afterRefusal(stored, error);
    }
  }

  /** Without a lock another process may have rotated the token meanwhile: then its entry is used. */
  async #afterRefusal(refused: OidcCredentials, error: Error): Promise<OidcCredentials> {
    const { store, identity } = this.#options;
    await store.removeRefused(refused);
    const stored = await store.load();
    if (stored !== undefined && isFresh(this.#bearerIn(stored), this.#now())) return stored;
    throw loginRequired(identity.issuer, "the provider refused the refresh token", error);
  }

  async #login(signal?: AbortSignal): Promise<void> {
    const { store, identity, bearer, runtime } = this.#options;
    if (!this.#mayAsk()) {
      throw loginRequired(identity.issuer, "a person must sign in, and asking is switched off");
    }
    const entry = await singleFlight(store.backend, `login ${store.key}`, async () => {
      await store.probe();
      const { signInByDevice } = await import("./sign_in_by_device.ts");
      const tokens = await signInByDevice(await this.provider(), {
        runtime,
        signal,
        backend: store.backend,
        onDeviceCode: this.#options.onDeviceCode,
      });
      const entry = toEntry(tokens, identity, bearer, this.#now());
      await this.#storeNew(entry);
      return entry;
    });
    this.#adopt(entry);
    if (this.#bearer === undefined) throw noIdToken(identity.issuer);
  }

  /** Under the lock, so that a refresh of the former tokens does not overwrite the new ones. */
  async #storeNew(entry: OidcCredentials): Promise<void> {
    const { store } = this.#options;
    let isSaving = false;
    try {
      await store.withLock(async () => {
        isSaving = true;
        await store.save(entry, await store.load());
      });
    } catch (error) {
      if (!isSaving) store.keepUnstored(entry, undefined);
      throw error;
    }
  }

  #mayAsk(): boolean {
    return this.#options.interactive ??
      !["0", "false", "no"].includes(readEnvIfGranted("VM_OIDC_INTERACTIVE")?.toLowerCase() ?? "");
  }

  #bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.#options.bearer);
  }

  #isAlive(bearer: Bearer | undefined): boolean {
    return bearer !== undefined && this.#now() < bearer.expiresAt;
  }

  /** Whether a token in its last minutes is used on, since nobody refused anything. */
  #bridges(error: unknown): boolean {
    const code = (error as { code?: unknown } | null)?.code;
    if (code !== "provider_unavailable" && code !== "backend_locked") return false;
    if (!this.#isAlive(this.#bearer)) return false;
    this.#freshUntil = Math.min(this.#bearer!.expiresAt, this.#now() + BRIDGE_MS);
    return true;
  }
}

function isRefusal(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && error.oauthError === "invalid_grant";
}

function loginRequired(issuer: string, reason: string, cause?: Error): ValidMindAuthError {
  return new ValidMindAuthError(
    "login_required",
    `Cannot get a token for ${issuer}: ${reason}. Run init() again where a person can sign in.`,
    { cause },
  );
}

function noIdToken(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_missing",
    `Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave ` +
      `none that is valid. Ask for the scope "openid", or set bearer: "access_token".`,
  );
}
