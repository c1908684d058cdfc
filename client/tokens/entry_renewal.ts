import { describeBackend } from "../../backends/common/describe_backend.ts";
import { repeat } from "../../backends/common/repeat.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { endOf, type TokenSet } from "../entry/bearer.ts";
import { codeOf, CONSEQUENCES, type ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { revokeTokens } from "./clear.ts";
import { EntryUse, loadProvider, markSpent } from "./entry_use.ts";
import { takeTurn } from "./flights.ts";
import { refusalWords } from "./login_required.ts";
import { type Grant, isAlive } from "./session_tokens.ts";
import { type CredentialStore, grantOf } from "./store.ts";

/** Loaded for a session that needs no person. */
const loadUnattended = () => import("../provider/unattended_grants.ts");

/** Tries to renew an entry that others keep changing. */
const MAX_TRIES = 5;
const LONGEST_MS = 60_000;
const PAUSE_MS = 50;

/** Time without a further try of a grant that was refused and stays, in milliseconds. */
const REFUSED_MS = 60_000;

/** A refusal that a new sign-in may cure, or the client's own. */
interface Refused {
  /** The entry with the grant. */
  entry: OidcCredentials;
  cause: ValidMindAuthError;
}

/** New tokens, or a refusal. */
type Answer = { tokens: TokenSet; previous?: OidcCredentials | undefined } | { refused: Refused };

/** Renews the stored entry of one session: find the provider, lock, read, prove, ask, store. */
export class EntryRenewal extends EntryUse {
  /** The grant that was refused last, and stays. */
  #refused: { grant: Grant; until: number; error: Error } | undefined;

  /**
   * The entry with a live bearer other than `rejected`: of this renewal, or of one elsewhere. `signal` ends
   * the wait for the lock. The entry is renewed again where others have changed it meanwhile.
   *
   * @param claims The claims that the refresh asks for.
   */
  async run(rejected: string, signal: AbortSignal, claims?: string): Promise<OidcCredentials> {
    const { store, options } = this;
    const { elapsed: now, delay } = options.runtime;
    const provider = this.#findProvider();
    await provider.catch(() => undefined); // it counts only where the provider is needed

    const limits = {
      tries: MAX_TRIES,
      withinMs: LONGEST_MS,
      pauseMs: PAUSE_MS,
      timer: { now, delay },
      over: (spent: string) => this.#alwaysChanged(spent),
    };
    let refusals = 0;
    const countRefusal = () => ++refusals;
    const renew = () =>
      repeat(limits, () => this.#renewOnce(rejected, provider, countRefusal, claims));
    const peek = async () => await this.#renewedIn(await store.peek(), rejected);
    return await takeTurn(store, renew, { signal, peek }, options);
  }

  /** Loads all that a refresh runs. */
  async load(): Promise<OidcProvider> {
    const [provider] = await Promise.all([this.openProvider(), this.isAlone && loadUnattended()]);
    return provider;
  }

  /** The provider with its endpoints. */
  async #findProvider(): Promise<OidcProvider> {
    const provider = await this.load();
    await provider.prepare(this.isAlone ? "get a token" : "refresh the sign-in");
    return provider;
  }

  /** One try; `undefined` where the store holds another grant by then. */
  async #renewOnce(
    rejected: string,
    found: Promise<OidcProvider>,
    countRefusal: () => number,
    claims: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    const { store, options } = this;
    const stored = await store.loadLocked();
    const renewed = await this.#renewedIn(stored, rejected);
    if (renewed !== undefined) return renewed;

    const obstacle = await this.obstacleIn(stored);
    if (obstacle !== undefined) {
      const bearer = await this.servedBy(stored);
      if (isAlive(bearer, options.runtime.now()) && bearer.token !== rejected) return stored;
      throw this.loginRequired(obstacle);
    }
    this.#assertNotRefused(stored);

    options.runtime.emit?.({ type: "refresh_started" });
    const provider = await found;
    if (!await this.#isProvenFor(stored)) return undefined;
    const answer = await this.#request(provider, stored, claims);
    if ("refused" in answer) return await this.#afterRefusal(answer.refused, countRefusal());

    const entry = this.entryOf(answer.tokens, answer.previous);
    options.runtime.emit?.({ type: "refresh_done", ...endOf(this.bearerIn(entry)) });
    if (!await store.replace(entry, stored)) return await this.#afterOthersChange(answer.tokens);
    this.reportStored(entry);
    return entry;
  }

  /** The stored entry, where another session or process has renewed it meanwhile. */
  async #renewedIn(
    stored: OidcCredentials | undefined,
    rejected: string,
  ): Promise<OidcCredentials | undefined> {
    const renewed = await this.freshIn(stored, rejected);
    if (renewed !== undefined) this.options.runtime.emit?.({ type: "refresh_joined" });
    return renewed;
  }

  /**
   * Proves that the store can be written, where its lock has not done so. `false` where it holds another
   * grant by then: this process may have stood still, and its lock been taken over. A refresh token that
   * was used meanwhile would cost the sign-in where the provider detects its reuse.
   */
  async #isProvenFor(stored: OidcCredentials | undefined): Promise<boolean> {
    const { store } = this;
    if (!store.needsProbe) return true;
    await store.probe(JSON.stringify(stored ?? "").length);
    return grantOf(await store.loadLocked()) === grantOf(stored);
  }

  /** Uses the grant of an entry; where there is none, and in place of a refused one, the client's own. */
  async #request(
    provider: OidcProvider,
    stored: OidcCredentials | undefined,
    claims: string | undefined,
  ): Promise<Answer> {
    if (this.isAlone && await this.noRefreshOf(stored)) return await requestNew(provider);
    const answer = await this.#refresh(provider, stored!, claims);
    const isRefused = "refused" in answer && answer.refused.cause.code === "provider_refused";
    if (this.isAlone && isRefused) return await requestNew(provider);
    return answer;
  }

  /** Trades the refresh token of an entry for new tokens. A new refresh token is not lost by a fault. */
  async #refresh(
    provider: OidcProvider,
    stored: OidcCredentials,
    claims: string | undefined,
  ): Promise<Answer> {
    const { store } = this;
    const { refreshTokens, subjectOf } = await loadProvider();
    const rotation = new Rotation(store, stored);
    try {
      const answer = await refreshTokens(provider, {
        refreshToken: stored.refresh_token!,
        claims,
        subject: subjectOf(stored),
        dpopKey: await this.importKey(stored.dpop_key),
        keepRotated: (token) => rotation.keep(token).catch(() => undefined), // stored with the rest
      });
      rotation.follow(answer.tokens?.refreshToken);
      if (answer.tokens !== undefined) return { tokens: answer.tokens, previous: stored };
      await rotation.keep(answer.refreshToken);
      throw answer.error;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return { refused: { entry: rotation.entry, cause: error } };
    }
  }

  /**
   * Follows a refusal by its kind. Another process may have renewed the grant meanwhile: its entry is tried
   * then, once.
   */
  async #afterRefusal({ entry, cause }: Refused, refusals: number): Promise<undefined> {
    const { store, isAlone } = this;
    const { keepsGrant, asksPerson } = CONSEQUENCES[cause.kind ?? "refused"];
    if (!keepsGrant) markSpent(entry.refresh_token!);
    const present = await store.loadLocked();
    const isSame = grantOf(present) === grantOf(entry);
    if (present !== undefined && !isSame && refusals === 1) return undefined;

    if (isSame && !keepsGrant) await store.remove();
    let error = cause;
    if (asksPerson && !isAlone) error = this.loginRequired(refusalWords(cause), cause);
    const until = this.options.runtime.elapsed() + REFUSED_MS;
    if (keepsGrant) this.#refused = { grant: grantOf(entry), until, error };
    throw error;
  }

  /** Throws a refusal again where the same grant was refused a moment ago. */
  #assertNotRefused(stored: OidcCredentials | undefined): void {
    if (this.#refused === undefined) return;
    const { grant, until, error } = this.#refused;
    const isRecent = this.options.runtime.elapsed() < until;
    if (isRecent && grant === grantOf(stored)) throw error;
  }

  /** Leaves new tokens to a sign-in that is stored by then. A sign-out wins, too, and ends them. */
  async #afterOthersChange(tokens: TokenSet): Promise<undefined> {
    const { isAlone, store } = this;
    if (isAlone || await store.loadLocked() !== undefined) return undefined;
    // Nobody else has these tokens to end them.
    await revokeTokens(() => this.openProvider(), tokens);
    throw this.loginRequired("the sign-in was removed while its token was refreshed");
  }

  #alwaysChanged(spent: string): CredentialsBackendError {
    return new CredentialsBackendError("backend_unavailable", {
      action: `renew the entry in ${describeBackend(this.store.backend)}`,
      reason: `the store held another sign-in each time, ${spent}`,
      remedy: "End the program that keeps changing it, and try again.",
    });
  }
}

/** Gets tokens by the grant of a session that needs no person. Nothing of an earlier entry is kept. */
async function requestNew(provider: OidcProvider): Promise<Answer> {
  const { requestUnattended } = await loadUnattended();
  return { tokens: await requestUnattended(provider) };
}

/** Whether a refresh failed for a reason that does not pass: the provider's refusal, or a bad ID token. */
function isRefusal(error: unknown): error is ValidMindAuthError {
  const { code } = codeOf(error);
  return code === "provider_refused" || code === "id_token_invalid";
}

/** The refresh token of a stored entry, which a provider may replace by another one. */
class Rotation {
  /** The entry with its present refresh token. The bearer and its end are the old ones. */
  entry: OidcCredentials;
  readonly #store: CredentialStore;
  readonly #stored: OidcCredentials;
  #keeping: Promise<boolean> | undefined;

  constructor(store: CredentialStore, stored: OidcCredentials) {
    this.#store = store;
    this.#stored = stored;
    this.entry = stored;
  }

  /** Takes over the new refresh token: the old one is used up. */
  follow(refreshToken: string | undefined): void {
    const { refresh_token: used } = this.#stored;
    if (refreshToken === undefined || refreshToken === used) return;
    if (used) markSpent(used);
    this.entry = { ...this.#stored, refresh_token: refreshToken };
  }

  /** Stores the new refresh token, once, before the tokens that came with it are checked. */
  async keep(refreshToken: string): Promise<void> {
    this.follow(refreshToken);
    await (this.#keeping ??= this.#store.replace(this.entry, this.#stored));
  }
}
