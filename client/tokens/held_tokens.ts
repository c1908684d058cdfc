import { secretsOf } from "../../backends/common/foreign_error.ts";
import { remember } from "../../backends/common/redaction.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  type Bearer,
  bearerOf,
  freshUntil,
  isAlive,
  readClaims,
  type TokenKind,
} from "../entry/bearer.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import type { SessionOptions } from "../session_options.ts";
import type { AskOptions } from "../sign_in/flow.ts";
import type { StoredCredential } from "./stored_credential.ts";

/** Options of a `TokenSource`. */
export interface TokenSourceOptions {
  identity: OidcIdentity;
  /** The options as the caller gave them. */
  call: SessionOptions;
  stored: StoredCredential;
  /** Whether the command line finds the store as well. */
  isFound: boolean;
  /** The token that goes on requests. */
  bearer: TokenKind;
  runtime: Runtime;
  /** How a person is asked; absent where nobody is to be asked. */
  ask: AskOptions | undefined;
  /** Whether the person is asked for a first sign-in, too, and not only for another one. */
  asksFirst: boolean;
  /** Why no person may be asked, in words. */
  silencedBy?: string | undefined;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/** How long a token in its last minutes is used on while the provider cannot be reached. */
const BRIDGE_MS = 10_000;

/** The tokens that a session has in memory. A sign-out anywhere in this process ends them. */
export class HeldTokens {
  readonly #options: TokenSourceOptions;
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  #freshUntil = 0;
  #forgets = 0;
  /** The person of the last ID token, also after a sign-out. */
  #person: { readonly sub: unknown } | undefined;
  /** The era of the tokens in memory. */
  #since = 0;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
  }

  /** Another number after each sign-out. What began before one is not taken over after it. */
  get era(): number {
    return this.#forgets + this.#options.stored.signOuts;
  }

  /** The entry in use, for display. */
  get entry(): OidcCredentials | undefined {
    if (this.#since === this.era) return this.#entry;
    return undefined;
  }

  /** The bearer in use, fresh or not. */
  get bearer(): Bearer | undefined {
    return this.entry && this.#bearer;
  }

  /** The bearer, while it is fresh. */
  get fresh(): Bearer | undefined {
    if (this.#options.runtime.now() < this.#freshUntil) return this.bearer;
    return undefined;
  }

  /** The bearer, until its end. */
  get alive(): Bearer | undefined {
    if (isAlive(this.bearer, this.#options.runtime.now())) return this.bearer;
    return undefined;
  }

  /**
   * Takes over an entry.
   *
   * @param era The era in which it was read.
   */
  adopt(entry: OidcCredentials, era = this.era): void {
    const { bearer, runtime } = this.#options;
    remember(runtime.secrets, secretsOf(entry));
    this.#since = era;
    this.#entry = entry;
    if (entry.id_token) this.#person = { sub: subOf(entry) };
    this.#bearer = bearerOf(entry, bearer);
    if (this.#bearer) this.#freshUntil = freshUntil(this.#bearer);
  }

  /** Takes over an entry that is not stored: the next use goes to the store, to write it. */
  adoptUnstored(entry: OidcCredentials): void {
    this.adopt(entry);
    this.#freshUntil = 0;
  }

  /** Notes that the refresh token works no more. */
  dropRefreshToken(): void {
    if (this.#entry) this.#entry = { ...this.#entry, refresh_token: null };
  }

  /** Whether an entry is of another person than the session was, as far as their ID tokens tell. */
  isOfAnother(entry: OidcCredentials): boolean {
    return Boolean(this.#person && entry.id_token) && this.#person!.sub !== subOf(entry);
  }

  /** Gives a live bearer out for some seconds more, up to its end. */
  bridge(): void {
    const end = this.#options.runtime.now() + BRIDGE_MS;
    this.#freshUntil = Math.min(this.bearer!.expiresAt, end);
  }

  /** Drops the tokens, and gives their entry. */
  forget(): OidcCredentials | undefined {
    const { entry } = this;
    this.#forgets++;
    this.#entry = this.#bearer = undefined;
    return entry;
  }
}

/** The person of an entry, as its ID token names one. */
export function subOf({ id_token }: OidcCredentials): unknown {
  return readClaims(id_token)?.sub;
}
