import { untilAborted } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { joinScopes, parametersOf, shortfallOf } from "../api/demand.ts";
import { type Bearer, coversScope, isAlive } from "../entry/bearer.ts";
import { type ApiDemand, codeOf, ValidMindAuthError } from "../errors.ts";
import { isShownByCaller, showLine } from "../prompt/terminal.ts";
import { BY_BROWSER } from "../provider/remedy.ts";
import type { ClearResult } from "../session.ts";
import { clearCredentials } from "./clear.ts";
import { EntryRenewal } from "./entry_renewal.ts";
import { loadProvider, NO_KEY } from "./entry_use.ts";
import { noLiveBearer } from "./login_required.ts";
import { type HeldTokens, subOf, type TokenSourceOptions } from "./held_tokens.ts";

/** The slow half of a `TokenSource`: tokens by a refresh, by the client's grant, or by asking the person. */
export class TokenRenewal extends EntryRenewal {
  readonly #held: HeldTokens;

  constructor(options: TokenSourceOptions, held: HeldTokens) {
    super(options);
    this.#held = held;
  }

  /**
   * Signs in from the store, by a refresh or by the person, in this order.
   *
   * @param read The stored entry, unless there is one that could not be stored.
   * @param era The era in which it was read.
   * @returns Whether the person was asked.
   */
  async signIn(
    read: OidcCredentials | undefined,
    era: number,
    signal?: AbortSignal,
    demand?: ApiDemand,
  ): Promise<boolean> {
    const { store } = this;
    const { asksFirst, beforeProvider } = this.options;
    let stored = read;
    if (store.unstored) stored = await untilAborted(store.load(), signal);
    if (await this.servedBy(stored)) this.#held.adopt(stored!, era);
    if (demand) {
      await this.signInAgain(demand, signal); // it does not take the stored tokens for new ones
      return true;
    }
    if (this.#held.fresh) return false;

    const obstacle = await this.obstacleIn(stored);
    if (obstacle !== undefined && !asksFirst) throw this.loginRequired(obstacle);
    await beforeProvider();
    const isRenewed = obstacle === undefined && await this.#renewWithoutPerson(signal);
    if (!isRenewed) await this.#askPerson(signal);
    return !isRenewed;
  }

  /** Asks the person for a sign-in that meets a demand of the API. It replaces that of the same person. */
  async signInAgain(demand: ApiDemand, signal?: AbortSignal): Promise<void> {
    const { ask, beforeProvider } = this.options;
    if (!ask) {
      throw this.loginRequired(
        "the API demands another sign-in, and nobody may be asked",
        undefined,
        demand,
      );
    }
    await beforeProvider();
    if (!isShownByCaller(ask)) {
      await showLine(`The API demands another sign-in: ${JSON.stringify(demand)}`);
    }
    await this.#askPerson(signal, demand);
  }

  /** Renews the stored entry. `false` where a person has to go on, and one is there. */
  async #renewWithoutPerson(signal?: AbortSignal) {
    try {
      await this.renew(undefined, signal);
      return true;
    } catch (error) {
      const needsPerson = codeOf(error).code === "login_required";
      if (needsPerson && this.options.asksFirst) return false;
      throw error;
    }
  }

  /** Asks the person, or joins another session of this process that is asking already. */
  async #askPerson(signal?: AbortSignal, demand?: ApiDemand) {
    const held = this.#held;
    const rejected = held.bearer?.token; // it does not serve, if another program has stored it
    const { identity, bearer, runtime } = this.options;
    const { store } = this;
    const entry = await store.shared.fly(
      // A call for another scope or bearer does not join, since the answer would not serve it.
      `login ${bearer} ${identity.scope} ${store.key} ${JSON.stringify(demand)}`,
      (ended) => this.#askAlone(rejected, ended, demand),
      signal,
      () => {
        runtime.emit?.({ type: "sign_in_joined" });
        if (!isShownByCaller(this.options.ask!)) void showLine(OPEN);
      },
    );
    if (demand) this.#adopt(entry); // the sign-in that it has joined may be another person's
    else held.adopt(entry);
    if (!held.bearer) throw noLiveBearer(this.options);
  }

  /** Proves the store and asks the person. `signal` aborts when nobody waits any more. */
  async #askAlone(
    rejected: string | undefined,
    signal: AbortSignal,
    demand?: ApiDemand,
  ) {
    const { ask, runtime } = this.options;
    const { store } = this;
    const prove = async () => {
      await store.probe();
      return await store.read(true);
    };
    const before = await untilAborted(store.withLock(prove, { signal }), signal);
    const again = demand && await this.#prepareAgain(demand, store.unstored ?? before);
    const provider = again?.provider ?? await this.openProvider();
    const { askPerson } = await import("../sign_in/dialog.ts");
    return await askPerson(provider, {
      runtime,
      ask: again?.ask ?? ask!,
      backend: store.backend,
      signal,
      save: async (tokens) => {
        const entry = this.entryOf(tokens, again?.previous);
        // Others may have changed it meanwhile. The new tokens are not revoked: at some providers this
        // would end the stored sign-in of the same browser.
        const fault = await store.saveNew(entry, before, again?.faultIn.bind(again, entry));
        if (fault) throw fault;
        this.reportStored(entry);
        return entry;
      },
      look: async () => {
        const other = await this.freshIn(await store.peek(), rejected);
        if (other && !again?.faultIn(other)) return other;
        return undefined;
      },
      bearerIn: (entry) => this.bearerIn(entry),
    });
  }

  /**
   * The means of a sign-in that an API demands, in the place of the stored one of the same person. Only
   * the scope goes over. A refresh with an old token would undo the sign-in, or a sign-out in between.
   */
  async #prepareAgain(demand: ApiDemand, before: OidcCredentials | undefined) {
    const { identity, runtime, ask } = this.options;
    const held = this.#held;
    const askedAt = Date.now() / 1000;
    const { scope: more, ...demanded } = parametersOf(demand);
    const scope = joinScopes(identity.scope, before?.scope, more);
    const action = `sign in again at ${identity.issuer}`;
    return {
      provider: await (await loadProvider()).openProvider({ ...identity, scope }, runtime),
      ask: { ...ask, demanded, demand },
      previous: { scope } as OidcCredentials,
      /** The error for tokens of another person than those stored or in use, and for tokens that do not meet the demand. */
      faultIn(entry: OidcCredentials, present = before) {
        const sub = subOf(entry);
        // An ID token that names nobody is another's.
        const isOther = (one?: OidcCredentials) => one?.id_token && (subOf(one) ?? "") !== sub;
        if ([before, present, held.entry].some(isOther) || held.isOfAnother(entry)) {
          return new ValidMindAuthError("id_token_invalid", {
            action,
            reason: "the new ID token is of another person",
            remedy:
              "Sign in as the same person. To go on as another, sign out, and open a new session.",
          });
        }
        const lack = shortfallOf(demand, entry, askedAt + (runtime.skew ?? 0));
        let remedy = "Ask the provider's administrator.";
        if (identity.flow === "device") { // the others take the browser for a demand
          remedy = `Set ${BY_BROWSER}, or ask the provider's administrator.`;
        }
        return lack && new ValidMindAuthError("demand_unmet", {
          action,
          reason: `the provider does not do what the API demands: ${lack}`,
          remedy,
        });
      },
    };
  }

  /** Gives a live bearer other than `rejected`. Never asks the person. */
  async renew(
    rejected: string | undefined,
    signal?: AbortSignal,
    claims?: string,
  ): Promise<Bearer> {
    const held = this.#held;
    const { era } = held;
    try {
      const entry = await this.#joinRenewal(rejected, signal, claims);
      this.#assertOwn(entry);
      if (era === held.era) held.adopt(entry); // not after a sign-out in between
      return this.#liveBearerIn(entry);
    } catch (error) {
      if (era === held.era) this.#followFailure(error, claims);
      const alive = held.alive;
      if (rejected !== undefined || !alive || !isFault(error)) throw error;
      held.bridge();
      return alive;
    }
  }

  /** The renewed entry. Calls of this process join, and other processes wait. */
  async #joinRenewal(rejected = "", signal?: AbortSignal, claims?: string) {
    const { identity, bearer, runtime: { emit } } = this.options;
    const { store } = this;
    return await store.shared.fly(
      // A run for another rejected bearer may give this one.
      `${bearer} ${identity.scope} ${rejected} ${store.key} ${claims}`,
      async (ended) => {
        try {
          return await this.run(rejected, ended, claims);
        } catch (error) {
          if (!ended.aborted) emit?.({ type: "refresh_failed", ...codeOf(error) }, error);
          throw error;
        }
      },
      signal,
      () => emit?.({ type: "refresh_joined" }),
    );
  }

  #liveBearerIn(entry: OidcCredentials) {
    const { runtime } = this.options;
    const bearer = this.bearerIn(entry);
    remember(runtime.secrets, [bearer?.token]);
    if (isAlive(bearer, runtime.now())) return bearer;
    throw noLiveBearer(this.options);
  }

  /** Follows an unsuccessful renewal in the memory of the session. */
  #followFailure(error: unknown, claims?: string) {
    const { unstored } = this.store;
    const { scope } = this.options.identity;
    if (unstored && coversScope(unstored, scope) && !this.#held.isOfAnother(unstored)) {
      this.#held.adoptUnstored(unstored);
    } else if (!claims && endsSignIn(error)) this.#held.dropRefreshToken();
  }

  /** Takes over the stored entry where it has a fresh bearer other than `rejected`. */
  async adoptStored(rejected: string): Promise<Bearer | undefined> {
    const { era } = this.#held;
    const entry = await this.freshIn(await this.store.peek(), rejected);
    if (!entry || era !== this.#held.era) return undefined;
    this.#adopt(entry);
    return this.#held.bearer;
  }

  /** Takes over an entry of the session's own person. */
  #adopt(entry: OidcCredentials) {
    this.#assertOwn(entry);
    this.#held.adopt(entry);
  }

  /** A session does not go on as whoever signed in meanwhile, also where its own person signed out before. */
  #assertOwn(entry: OidcCredentials) {
    if (!this.#held.isOfAnother(entry)) return;
    throw this.loginRequired("another person has signed in since this session began");
  }

  /** The key that a bearer is bound to. */
  async keyOf({ dpopKey }: Bearer): Promise<CryptoKeyPair> {
    const pair = await this.importKey(dpopKey);
    if (pair) return pair;
    throw this.loginRequired(NO_KEY);
  }

  /** Removes the entry. */
  async clear(revoke: boolean, held: OidcCredentials | undefined): Promise<ClearResult> {
    return await clearCredentials(this.store, revoke, () => this.openProvider(), held);
  }
}

/** A second prompt would wait for nobody. Of a cell that waits, an interrupt ends both. */
const OPEN =
  "A sign-in of an earlier call waits: approve it at its link, or interrupt this one and start again.";

/** Whether an error says nothing about the tokens: the provider or the store has a fault. */
function isFault(error: unknown) {
  return error instanceof CredentialsBackendError || codeOf(error).code === "provider_unavailable";
}

/** Whether an error ends the sign-in. A refusal that keeps the grant may pass. */
function endsSignIn(error: unknown) {
  if (codeOf(error).code !== "login_required") return false;
  const { cause } = error as Error;
  return !(cause instanceof ValidMindAuthError) || cause.kind === "over";
}
