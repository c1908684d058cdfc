import { untilAborted } from "../../backends/common/promises.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, coversScope, isFresh, type TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { AskOptions } from "../sign_in/flow.ts";
import { adopt, bridges, providerNow, toEntry } from "./new_entry.ts";
import { TokenRefresh } from "./refresh.ts";
import type { HeldTokens, Renewal, StoredCredential } from "./source.ts";
import { CredentialStore } from "./store.ts";
import { singleFlight } from "./turns.ts";

/** Loaded where a person is asked. */
const loadDialog = () => import("../sign_in/dialog.ts");

/** Loaded where only a person can go on. */
const loadReasons = () => import("./login_required.ts");

/** Loaded where a store cannot be written. */
const loadTerminal = () => import("../prompt/terminal.ts");

/** Faults of a store that may be over at the next try. */
const PASSING: string[] = ["backend_locked", "backend_timeout", "backend_unavailable"];

const OTHER_SCOPE =
  "the entry that was stored meanwhile is for another scope (to use both at once, " +
  "give each a profile of its own)";

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
  readonly #refresh: TokenRefresh;
  #hasWarned = false;

  constructor(options: TokenRenewalOptions, held: HeldTokens) {
    const { identity, stored, bearer, runtime, interactive, ask } = options;
    this.#options = options;
    this.#held = held;
    this.#store = new CredentialStore(stored.backend, stored.key);
    this.#refresh = new TokenRefresh({
      identity,
      bearer,
      runtime,
      store: this.#store,
      held: () => held.entry,
      ask: interactive ? ask : undefined,
    });
  }

  async signIn(
    read: { entry: OidcCredentials | undefined } | undefined,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { interactive, beforeProvider } = this.#options;
    const stored = read === undefined ? await untilAborted(this.#store.load(), signal) : read.entry;
    const obstacle = await this.#obstacleIn(stored);
    if (isFresh(this.#held.bearer, this.#now())) return false;
    if (obstacle !== undefined && !interactive) throw await this.#loginRequired(obstacle);
    await beforeProvider();
    if (obstacle === undefined) {
      const refusal = await this.#tryRenew(signal);
      if (refusal === undefined) return false;
      if (!interactive) throw refusal;
    }
    await this.#ask(signal);
    return true;
  }

  /** Takes over a usable entry. Gives the reason why it cannot be refreshed, if it cannot. */
  async #obstacleIn(stored: OidcCredentials | undefined): Promise<string | undefined> {
    if (stored === undefined) return "no sign-in is stored";
    if (!coversScope(stored, this.#options.identity.scope)) {
      return "the stored sign-in is for another scope";
    }
    if (!await this.#refresh.key.isIn(stored)) return (await loadReasons()).NO_KEY;
    this.#held.adopt(stored);
    if (stored.refresh_token) return undefined;
    return (await loadReasons()).noRefreshToken(this.#options.identity);
  }

  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.#refresh.key.import(dpopKey);
    if (pair !== undefined) return pair;
    throw await this.#loginRequired((await loadReasons()).NO_KEY);
  }

  forgetKey(): void {
    this.#refresh.key.forget();
  }

  async prepareRefresh(): Promise<void> {
    await this.#refresh.prepare();
  }

  async provider(): Promise<OidcProvider> {
    return await this.#refresh.provider();
  }

  async renew(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    const { identity, bearer: kind } = this.#options;
    const { forgets, entry: former } = this.#held;
    try {
      const entry = await this.#refresh.run(rejected, signal);
      providerNow(this.#options.runtime, kind, identity.issuer); // another session may have made it
      if (!coversScope(entry, identity.scope)) throw await this.#loginRequired(OTHER_SCOPE);
      // Not after a sign-out in between.
      if (forgets === this.#held.forgets) adopt(this.#held, entry, this.#now());
      const bearer = bearerOf(entry, kind);
      if (this.#isAlive(bearer)) return bearer;
      const isNew = entry[kind] !== former?.[kind];
      throw await (isNew ? this.#hasEnded() : this.#noIdToken());
    } catch (error) {
      if (forgets === this.#held.forgets) this.#adoptUnstored();
      if (rejected !== undefined || !bridges(this.#held, error, this.#now())) throw error;
      await this.#warn(error);
      return this.#held.bearer!;
    }
  }

  /** Tells the person once that the store has a fault which a further try does not cure. */
  async #warn(error: unknown): Promise<void> {
    const { identity, interactive, ask } = this.#options;
    const isLasting = error instanceof CredentialsBackendError && !PASSING.includes(error.code);
    if (!isLasting || this.#hasWarned || !interactive) return;
    const { isShownByCaller, showLine } = await loadTerminal();
    if (isShownByCaller(ask)) return;
    this.#hasWarned = true;
    showLine(
      `The sign-in at ${identity.issuer} is not refreshed, and ends with its token: ${error.message}`,
    );
  }

  /** Gives the error where only the person can go on. */
  async #tryRenew(signal?: AbortSignal): Promise<ValidMindAuthError | undefined> {
    try {
      await this.renew(undefined, signal);
      return undefined;
    } catch (error) {
      if (error instanceof ValidMindAuthError && error.code === "login_required") return error;
      throw error;
    }
  }

  /** Takes over tokens that could not be stored. The next use still goes to the store, to write them. */
  #adoptUnstored(): void {
    const { unstored } = this.#store;
    if (unstored === undefined) return;
    this.#held.adopt(unstored);
    this.#held.useUntil(0);
  }

  /**
   * Asks the person, or joins another session of this process that is asking already. Before that, the
   * store is proven.
   */
  async #ask(signal?: AbortSignal): Promise<void> {
    const { identity, bearer, runtime, ask } = this.#options;
    const store = this.#store;
    // A call for another scope or bearer does not join, since the answer would not serve it.
    const flight = `login ${bearer} ${identity.scope} ${store.key}`;
    const start = async (ended: AbortSignal) => {
      await untilAborted(store.probe(), ended);
      const [provider, { askPerson }] = await Promise.all([this.provider(), loadDialog()]);
      const save = async (tokens: TokenSet) => {
        const entry = toEntry(
          tokens,
          identity,
          bearer,
          providerNow(runtime, bearer, identity.issuer),
        );
        await this.#refresh.saveNew(entry);
        return { entry, expiresAt: bearerOf(entry, bearer)?.expiresAt };
      };
      const { backend } = store;
      return await askPerson(provider, { runtime, ask, backend, signal: ended, save });
    };
    const onJoin = () => runtime.emit?.({ type: "sign_in_joined" });
    const entry = await singleFlight(store.owner, flight, start, signal, onJoin);
    adopt(this.#held, entry, this.#now());
    if (this.#held.bearer === undefined) throw await this.#noIdToken();
  }

  #isAlive(bearer: Bearer | undefined): bearer is Bearer {
    return bearer !== undefined && this.#now() < bearer.expiresAt;
  }

  #now(): number {
    return this.#options.runtime.now();
  }

  async #loginRequired(reason: string): Promise<ValidMindAuthError> {
    const { loginRequired } = await loadReasons();
    return loginRequired(this.#options.identity, this.#store.backend, reason);
  }

  async #hasEnded(): Promise<ValidMindAuthError> {
    const { hasEnded } = await loadReasons();
    return hasEnded(this.#options.identity.issuer);
  }

  async #noIdToken(): Promise<ValidMindAuthError> {
    const { noIdToken } = await loadReasons();
    return noIdToken(this.#options.identity.issuer);
  }
}
