import { untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, coversScope } from "../entry/bearer.ts";
import { type ApiDemand, throwToCaller, ValidMindAuthError } from "../errors.ts";
import type { TokenRenewal } from "./renewal.ts";
import { HeldTokens, type TokenSourceOptions } from "./held_tokens.ts";
import type { StoredCredential } from "./stored_credential.ts";

/** Time without a refresh because of a 401, after the API has refused a new token as well. */
const QUIET_MS = 60_000;

/**
 * Gives the bearer token of one identity. The quick half: it serves from memory and from the store,
 * and hands everything else to a {@linkcode TokenRenewal}.
 */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  /** The tokens in memory. */
  readonly held: HeldTokens;
  #renewal: Promise<TokenRenewal> | undefined;
  /** Whether the permissions of a refresh were given up. */
  #isLast = false;
  /** Until then no 401 leads to a refresh, on the runtime's stopwatch. */
  #quietUntil = -Infinity;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    this.held = new HeldTokens(options);
  }

  /** The entry of the tokens. */
  get stored(): StoredCredential {
    return this.#options.stored;
  }

  /**
   * Signs in from the store, by a refresh or by the person, in this order.
   *
   * @param demand The demand of an API, for which the person is always asked.
   * @returns Whether the person was asked.
   */
  async signIn(signal?: AbortSignal, demand?: ApiDemand): Promise<boolean> {
    const { stored, identity, asksFirst } = this.#options;
    const { era } = this.held;
    // Unstored tokens and DPoP keys are handled by the renewal.
    let entry: OidcCredentials | undefined;
    if (!stored.unstored) entry = await untilAborted(stored.read(asksFirst), signal);
    const isBound = identity.dpop || entry?.dpop_key;
    if (entry && !isBound && coversScope(entry, identity.scope)) {
      this.held.adopt(entry, era);
      if (this.held.fresh && !demand) return false;
    }
    return await (await this.renewal()).signIn(entry, era, signal, demand);
  }

  /**
   * The bearer token, refreshed where it is about to end. Never asks the person, since nobody expects
   * a prompt from a call in the background.
   *
   * @param rejected A bearer that is not to be given. It is replaced unless it has been already.
   * @param claims The claims that a refresh asks for.
   */
  async bearer(rejected?: string, signal?: AbortSignal, claims?: string): Promise<Bearer> {
    const fresh = rejected === undefined && this.held.fresh;
    if (this.#isLast && !fresh) return this.#lastBearer(rejected);
    return fresh ||
      await (await this.renewal()).renew(rejected, signal, claims).catch(throwToCaller);
  }

  /**
   * The bearer token after a request; another one than the API has refused. Within a minute after it has
   * refused a new one as well, only one that somebody else has stored.
   *
   * @param demand The demand of the API. No refresh meets it, unless it is for claims.
   */
  async bearerAfter(
    rejected: string | undefined,
    signal?: AbortSignal,
    demand?: ApiDemand,
  ): Promise<Bearer> {
    if (this.#isLast) return this.#lastBearer(rejected);
    const isQuiet = this.#options.runtime.elapsed() < this.#quietUntil;
    const mayRenew = !isQuiet && (!demand || demand.claims);
    if (rejected === undefined || mayRenew) {
      return await this.bearer(rejected, signal, demand?.claims);
    }
    const adopt = async () => await (await this.renewal()).adoptStored(rejected);
    const stored = await untilAborted(adopt(), signal);
    if (stored) return stored;
    throw new ValidMindAuthError("login_required", {
      action: `get a token for ${this.#options.identity.issuer}`,
      reason: "the API has refused a new token as well, less than a minute ago, or wants a person",
      remedy: "Check what the API demands, and sign in again.",
    });
  }

  /** The bearer that no other one follows, until its end. */
  #lastBearer(rejected: string | undefined) {
    const { alive } = this.held;
    if (rejected === undefined && alive) return alive;
    throw new ValidMindAuthError("permission_required", {
      action: `get a token for ${this.#options.identity.issuer}`,
      reason: "this session gave up what a refresh needs",
      remedy: "Start the program again.",
    });
  }

  /** Whether the sign-in is still stored, and not that of another person. */
  async isStored(signal?: AbortSignal): Promise<boolean> {
    const entry = await untilAborted(this.#options.stored.read(), signal);
    return entry !== undefined && !this.held.isOfAnother(entry);
  }

  /** The way to sign in as an API demands, where `Session.signIn` may not ask. */
  async remedyFor(demand: ApiDemand): Promise<string | undefined> {
    const { ask, silencedBy } = this.#options;
    if (ask || silencedBy === undefined) return undefined;
    return (await this.renewal()).loginRequired("", undefined, demand).remedy;
  }

  /** Ends, for a while, the refreshes because of a 401: the API has refused a new token as well. */
  keepQuiet(): void {
    this.#quietUntil = this.#options.runtime.elapsed() + QUIET_MS;
  }

  /** Ends the refreshes: their permissions are given up. */
  stopRefreshing(): void {
    this.#isLast = true;
  }

  /** The slow half, which is loaded where the stored tokens do not serve. */
  renewal(): Promise<TokenRenewal> {
    return this.#renewal ??= import("./renewal.ts")
      .then(({ TokenRenewal }) => new TokenRenewal(this.#options, this.held));
  }
}
