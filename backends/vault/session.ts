import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { Once, type Stopwatch, untilAborted } from "../common/promises.ts";
import type { VaultClient } from "./client.ts";
import type { VaultAnswer, VaultRequest } from "./error.ts";
import { isLive, logIn, renew, type VaultToken } from "./login.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";

/** Use of a given token after which it is renewed: most programs have ended by then. */
const RENEW_GIVEN_MS = 30_000;

interface Held {
  readonly value: string;
  /** The time of its renewal, by the stopwatch. */
  readonly renewAt: number;
  /** `undefined` for a given token, of which the end is not known. */
  readonly endsAt: number | undefined;
}

/** Requests with a token that is obtained, renewed and replaced as needed. */
export class VaultSession {
  readonly #client: VaultClient;
  readonly #options: VaultCredentialsBackendOptions;
  readonly #now: Stopwatch;
  readonly #held = new Once<Held>();

  constructor(client: VaultClient, options: VaultCredentialsBackendOptions, now: Stopwatch) {
    this.#client = client;
    this.#options = options;
    this.#now = now;
  }

  get place(): string {
    return this.#client.place;
  }

  /**
   * The answer. Vault answers 403 both for a token that has ended and for a denial by a policy. A token
   * that has ended is replaced once, and the request is sent once more.
   */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const held = await untilAborted(this.#token(), request.signal);
    const answer = await this.#send(request, held);
    if (answer.status !== 403) return answer;
    if (await isLive(this.#client, held.value)) throw this.#denied(request, answer);
    const next = await untilAborted(this.#replace(held), request.signal);
    if (next.value === held.value) throw this.#ended(request);
    const second = await this.#send(request, next);
    if (second.status === 403) throw this.#denied(request, second);
    return second;
  }

  close(): void {
    this.#held.forget();
    this.#client.close();
  }

  #send(request: VaultRequest, { value }: Held): Promise<VaultAnswer> {
    return this.#client.request({ ...request, token: value });
  }

  /** One login or renewal at a time, for all requests that wait for it. */
  async #token(): Promise<Held> {
    const current = this.#held.get(() => this.#logIn());
    const held = await current;
    if (this.#now() < held.renewAt) return held;
    if (this.#held.kept === current) this.#held.keep(this.#prolong(held));
    return await this.#token();
  }

  /** A token in place of one that has ended, unless another request has replaced it already. */
  async #replace(ended: Held): Promise<Held> {
    const current = this.#held.kept;
    const held = await current;
    if (held !== undefined && held !== ended) return held;
    if (this.#held.kept !== current) return await this.#replace(ended);
    return await this.#held.keep(this.#logIn());
  }

  async #logIn(): Promise<Held> {
    const token = await logIn(this.#client, this.#options);
    if (typeof token !== "string") return this.#hold(token);
    return { value: token, renewAt: this.#now() + RENEW_GIVEN_MS, endsAt: undefined };
  }

  async #prolong(held: Held): Promise<Held> {
    try {
      const renewed = await renew(this.#client, held.value);
      const next = renewed && this.#hold(renewed);
      // Vault counts whole seconds: a gain of less than one is none.
      if (next && next.endsAt > (held.endsAt ?? this.#now()) + 1000) return next;
      // Not renewable, or at the end of its longest life. A given token is used until it is refused.
      const isGiven = (this.#options.auth?.method ?? "token") === "token";
      return isGiven ? { ...held, renewAt: Infinity } : await this.#logIn();
    } catch (error) {
      const leftMs = (held.endsAt ?? Infinity) - this.#now();
      if (leftMs <= 0) throw error;
      const waitMs = Math.min(leftMs / 2, RENEW_GIVEN_MS);
      return { ...held, renewAt: this.#now() + waitMs }; // it is still valid
    }
  }

  /** The token is renewed after two thirds of its life. */
  #hold({ value, ttlMs }: VaultToken): Held & { endsAt: number } {
    const now = this.#now();
    return { value, renewAt: now + ttlMs * 2 / 3, endsAt: now + ttlMs };
  }

  #denied(
    { action, method, path }: VaultRequest,
    { words }: VaultAnswer,
  ): CredentialsBackendError {
    const capability = path.endsWith("?list=true") ? "list" : CAPABILITIES[method];
    const [place] = path.split("/?");
    return new CredentialsBackendError(
      "backend_denied",
      `Cannot ${action} ${this.place}: the policies of the Vault token do not allow ${capability} ` +
        `of ${decodeURI(place!)}${words}. Have them allow what the documentation of ` +
        `VaultCredentialsBackend lists, for this mount, path and namespace.`,
    );
  }

  #ended({ action }: VaultRequest): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_auth_failed",
      `Cannot ${action} ${this.place}: the Vault token has expired or was revoked, or its policies ` +
        `let it do nothing. Get a new one: vault login, or whoever gives it out.`,
    );
  }
}

/** The capabilities of a policy by the request. */
const CAPABILITIES = { GET: "read", POST: "create and update", DELETE: "delete" };
