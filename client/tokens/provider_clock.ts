import type { AnswerTime } from "../entry/bearer.ts";
import type { Runtime } from "../options/resolve_options.ts";

/** A smaller difference of the clocks changes nothing: an answer has been on its way for some time. */
const SLACK_SECONDS = 10;

/**
 * The clock of a session, which follows the provider's: a stored end has to be right on other computers,
 * and after this one's clock is set. The clock of a caller is believed. So is this computer's where the
 * bearer is an ID token, which has an end of its own.
 */
export class ProviderClock {
  readonly #issuer: string;
  /** In seconds, by issuer. A session that joins another one's refresh has seen no answer itself. */
  readonly #skews: Map<string, number>;
  readonly #isFollowing: boolean;

  constructor(
    runtime: Runtime,
    kind: "access_token" | "id_token",
    issuer: string,
    skews: Map<string, number>,
  ) {
    this.#issuer = issuer;
    this.#skews = skews;
    this.#isFollowing = kind === "access_token" && runtime.now === Date.now;
    if (this.#isFollowing) runtime.now = () => Date.now() + this.#aheadMs();
  }

  /** Learns from the answer that brought new tokens how far the provider's clock is ahead. */
  learn({ skew }: AnswerTime): void {
    if (skew !== undefined) this.#skews.set(this.#issuer, skew);
  }

  /** When the tokens of an answer were issued, by the session's clock; rather too early than too late. */
  issuedAt({ sentAt, date }: AnswerTime): number {
    if (!this.#isFollowing || date === undefined) return sentAt;
    if (this.#aheadMs() !== 0) return date;
    return Math.min(sentAt, date);
  }

  #aheadMs(): number {
    const skew = this.#skews.get(this.#issuer) ?? 0;
    if (Math.abs(skew) <= SLACK_SECONDS) return 0;
    return skew * 1000;
  }
}
