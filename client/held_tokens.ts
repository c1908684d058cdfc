import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf } from "./credentials.ts";
import { SKEW_SECONDS } from "./is_expired.ts";

/** The tokens that a session has in memory. */
export class HeldTokens {
  readonly #kind: "access_token" | "id_token";
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  /** Until when the bearer is given out without a look at anything else. */
  #freshUntil = 0;
  #forgets = 0;

  /** @param kind Which token is the bearer. */
  constructor(kind: "access_token" | "id_token") {
    this.#kind = kind;
  }

  /** The entry in use, for display. */
  get entry(): OidcCredentials | undefined {
    return this.#entry;
  }

  /** The bearer in use, fresh or not. */
  get bearer(): Bearer | undefined {
    return this.#bearer;
  }

  /** How often the tokens were forgotten. */
  get forgets(): number {
    return this.#forgets;
  }

  /** The bearer, as long as it needs no second look. */
  fresh(now: number): Bearer | undefined {
    return now < this.#freshUntil ? this.#bearer : undefined;
  }

  /** Takes over what is stored. */
  adopt(entry: OidcCredentials): void {
    this.#entry = entry;
    this.#bearer = bearerOf(entry, this.#kind);
    this.#freshUntil = (this.#bearer?.expiresAt ?? 0) - SKEW_SECONDS * 1000;
  }

  /** Gives the bearer out until then, whatever else is known of it. */
  useUntil(time: number): void {
    this.#freshUntil = time;
  }

  /** Drops the tokens. */
  forget(): void {
    this.#forgets++;
    this.#entry = undefined;
    this.#bearer = undefined;
    this.#freshUntil = 0;
  }
}
