import { describeBackend } from "../../backends/common/describe_backend.ts";
import { repeat } from "../../backends/common/repeat.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { endOf, isAlive, readClaims, type TokenSet } from "../entry/bearer.ts";
import { codeOf, CONSEQUENCES, type ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { revokeTokens } from "./clear.ts";
import { EntryUse, loadProvider, markSpent } from "./entry_use.ts";
import { refusalWords } from "./login_required.ts";
import { grantOf } from "./store.ts";

/** Loaded for a session that needs no person. */
const loadUnattended = () => import("../provider/unattended_grants.ts");

/** Tries to renew an entry that others keep changing. */
const MAX_TRIES = 5;
const LONGEST_MS = 60_000;

/** Time without a further try of a grant that was refused and stays, in milliseconds. */
const REFUSED_MS = 60_000;

/** Renews the stored entry of one session: find the provider, lock, read, prove, ask, store. */
export class EntryRenewal extends EntryUse {
  /** The grant that was refused last, and stays. */
  #refused: { grant?: string; claims: string | undefined; until: number; error: Error } | undefined;

  /**
   * The entry with a live bearer other than `rejected`: of this renewal, or of one elsewhere. `signal` ends
   * the wait for the lock. The entry is renewed again where others have changed it meanwhile.
   *
   * @param claims The claims that the refresh asks for.
   */
  async run(rejected: string, signal: AbortSignal, claims?: string): Promise<OidcCredentials> {
    const { store } = this;
    const { elapsed: now, delay } = this.options.runtime;
    const provider = this.#findProvider();
    await provider.catch(() => undefined); // it counts only where the provider is needed
    const limits = {
      tries: MAX_TRIES,
      withinMs: LONGEST_MS,
      timer: { now, delay },
      over: (spent: string) => this.#alwaysChanged(spent),
    };
    const renew = () => repeat(limits, () => this.#renewOnce(rejected, provider, claims));
    const peek = async () => await this.#renewedIn(await store.peek(), rejected);
    return await store.withLock(renew, { signal, peek });
  }

  /** Loads all that a refresh runs. */
  async prepareRefresh(): Promise<OidcProvider> {
    const [provider] = await Promise.all([this.openProvider(), this.isAlone && loadUnattended()]);
    return provider;
  }

  /** The provider with its endpoints. */
  async #findProvider() {
    const provider = await this.prepareRefresh();
    await provider.prepare(this.isAlone ? "get a token" : "refresh the sign-in");
    return provider;
  }

  /** One try; `undefined` where the store holds another grant by then. */
  async #renewOnce(
    rejected: string,
    found: Promise<OidcProvider>,
    claims?: string,
  ) {
    const { store, options } = this;
    const stored = await store.loadLocked();
    const renewed = await this.#renewedIn(stored, rejected);
    if (renewed) return renewed;

    const obstacle = await this.obstacleIn(stored);
    if (obstacle !== undefined) {
      const bearer = await this.servedBy(stored);
      if (isAlive(bearer, options.runtime.now()) && bearer.token !== rejected) return stored;
      throw this.loginRequired(obstacle);
    }
    this.#assertNotRefused(stored, claims);

    options.runtime.emit?.({ type: "refresh_started" });
    const provider = await found;
    if (!await this.#isProvenFor(stored)) return undefined;
    const previous = this.isAlone ? undefined : stored; // the client's own grant goes on from none
    const tokens = previous
      ? await this.#refresh(provider, previous, claims)
      : await (await loadUnattended()).requestUnattended(provider);
    if (!tokens) return undefined;

    const entry = this.entryOf(tokens, previous);
    options.runtime.emit?.({ type: "refresh_done", ...endOf(this.bearerIn(entry)) });
    if (!await store.replace(entry, stored)) return await this.#afterOthersChange(tokens);
    this.reportStored(entry);
    return entry;
  }

  /** The stored entry, where another session or process has renewed it meanwhile. */
  async #renewedIn(stored: OidcCredentials | undefined, rejected: string) {
    const renewed = await this.freshIn(stored, rejected);
    if (renewed) this.options.runtime.emit?.({ type: "refresh_joined" });
    return renewed;
  }

  /**
   * Proves that the store can be written, where its lock has not done so. `false` where it holds another
   * grant by then: this process may have stood still, and its lock been taken over. A refresh token that
   * was used meanwhile would cost the sign-in where the provider detects its reuse.
   */
  async #isProvenFor(stored: OidcCredentials | undefined) {
    const { store } = this;
    if (!store.needsProbe) return true;
    await store.probe(JSON.stringify(stored ?? "").length);
    return grantOf(await store.loadLocked()) === grantOf(stored);
  }

  /**
   * Trades the refresh token of an entry for new tokens. A new refresh token is not lost by a fault.
   * `undefined` where it was refused, and the store holds another grant by then.
   */
  async #refresh(
    provider: OidcProvider,
    stored: OidcCredentials,
    claims?: string,
  ): Promise<TokenSet | undefined> {
    const { refreshTokens } = await loadProvider();
    const refreshToken = stored.refresh_token!;
    let entry = stored;
    /** Stores the refresh token that has replaced the old one, once. */
    const keepRotated = async (refresh_token: string) => {
      if (refresh_token === entry.refresh_token) return;
      markSpent(refreshToken);
      entry = { ...stored, refresh_token };
      await this.store.replace(entry, stored);
    };
    try {
      const tokens = await refreshTokens(provider, {
        refreshToken,
        claims,
        former: readClaims(stored.id_token),
        dpopKey: await this.importKey(stored.dpop_key),
        keepRotated,
      });
      const { refreshToken: successor = refreshToken } = tokens;
      if (successor !== refreshToken) markSpent(refreshToken);
      return tokens;
    } catch (cause) {
      if (!isRefusal(cause)) throw cause;
      return await this.#afterRefusal(entry, cause, claims);
    }
  }

  /** Follows a refusal by its kind. Another process may have renewed the grant: its entry is tried then. */
  async #afterRefusal(
    entry: OidcCredentials,
    cause: ValidMindAuthError,
    claims?: string,
  ) {
    const { store } = this;
    const { asksPerson, ...consequence } = CONSEQUENCES[cause.kind ?? "refused"];
    // The API chose the claims: their refusal says nothing of the grant.
    const keepsGrant = consequence.keepsGrant || claims;
    if (!keepsGrant) markSpent(entry.refresh_token!);
    const present = await store.loadLocked();
    const isSame = grantOf(present) === grantOf(entry);
    if (present && !isSame) return undefined;

    if (isSame && !keepsGrant) await store.remove();
    let error = cause;
    if (asksPerson) error = this.loginRequired(refusalWords(cause), cause);
    const until = this.options.runtime.elapsed() + REFUSED_MS;
    if (keepsGrant) this.#refused = { grant: grantOf(entry), claims, until, error };
    throw error;
  }

  /** Throws a refusal again where the same request was refused a moment ago. */
  #assertNotRefused(stored: OidcCredentials | undefined, wanted?: string) {
    if (!this.#refused) return;
    const { grant, claims, until, error } = this.#refused;
    const isRecent = this.options.runtime.elapsed() < until;
    if (isRecent && grant === grantOf(stored) && claims === wanted) throw error;
  }

  /** Leaves new tokens to a sign-in that is stored by then. A sign-out wins, too, and ends them. */
  async #afterOthersChange(tokens: TokenSet) {
    const { isAlone, store } = this;
    if (isAlone || await store.loadLocked() !== undefined) return undefined;
    // Nobody else has these tokens to end them.
    await revokeTokens(() => this.openProvider(), tokens);
    throw this.loginRequired("the sign-in was removed while its token was refreshed");
  }

  #alwaysChanged(spent: string) {
    return new CredentialsBackendError("backend_unavailable", {
      action: `renew the entry in ${describeBackend(this.store.backend)}`,
      reason: `the store held another sign-in each time, ${spent}`,
      remedy: "End the program that keeps changing it, and try again.",
    });
  }
}

/** Whether a refresh failed for a reason that does not pass: the provider's refusal, or a bad ID token. */
function isRefusal(error: unknown): error is ValidMindAuthError {
  const { code } = codeOf(error);
  return code === "provider_refused" || code === "id_token_invalid";
}
