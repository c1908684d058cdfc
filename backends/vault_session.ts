import type { CredentialsBackendError } from "./credentials_backend_error.ts";
import { untilAborted } from "./delay.ts";
import type { VaultAnswer, VaultClient, VaultRequest } from "./vault_client.ts";
import { vaultError } from "./vault_error.ts";
import type { VaultLogin, VaultToken } from "./vault_login.ts";

interface Held {
  token: VaultToken;
  /** When it should be renewed, by the local clock. */
  renewAt: number;
  endsAt: number;
}

/** Requests with a token that is got, renewed and replaced as needed. */
export class VaultSession {
  readonly #client: VaultClient;
  readonly #login: VaultLogin;
  readonly #now: () => number;
  #held: Promise<Held> | undefined;

  constructor(client: VaultClient, login: VaultLogin, now: () => number) {
    this.#client = client;
    this.#login = login;
    this.#now = now;
  }

  /** The server in words. */
  get place(): string {
    return this.#client.place;
  }

  /**
   * The answer. Vault says 403 for a token that has ended and for what a policy denies: a token that
   * has ended is replaced once, and the request sent once more.
   *
   * @throws {CredentialsBackendError} `backend_denied`, `backend_auth_failed`, and as the client's.
   */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const held = await untilAborted(this.#token(), request.signal);
    const answer = await this.#send(request, held);
    if (answer.status !== 403) return answer;
    if (await this.#login.isLive(held.token.value)) throw this.#denied(request);
    const next = await untilAborted(this.#replace(held), request.signal);
    if (next.token.value === held.token.value) throw this.#login.ended(request.action);
    const second = await this.#send(request, next);
    if (second.status === 403) throw this.#denied(request);
    return second;
  }

  /** Forgets the token and closes the connections. */
  close(): void {
    this.#held = undefined;
    this.#client.close();
  }

  #send(request: VaultRequest, { token }: Held): Promise<VaultAnswer> {
    return this.#client.request({ ...request, token: token.value });
  }

  /** One login or renewal at a time, for all requests that wait for it. */
  async #token(): Promise<Held> {
    const current = this.#held ??= this.#remember(this.#logIn());
    const held = await current;
    if (this.#now() < held.renewAt) return held;
    if (this.#held === current) this.#remember(this.#prolong(held));
    return await this.#token();
  }

  /** A token in place of one that has ended, unless another request has seen to it. */
  async #replace(ended: Held): Promise<Held> {
    const current = this.#held;
    const held = await current;
    if (held !== undefined && held !== ended) return held;
    if (this.#held !== current) return await this.#replace(ended);
    return await this.#remember(this.#logIn());
  }

  #remember(coming: Promise<Held>): Promise<Held> {
    this.#held = coming;
    coming.catch(() => {
      if (this.#held === coming) this.#held = undefined; // the next use tries again
    });
    return coming;
  }

  async #logIn(): Promise<Held> {
    return this.#hold(await this.#login.run());
  }

  async #prolong(held: Held): Promise<Held> {
    try {
      return await this.#next(held);
    } catch (error) {
      const leftMs = held.endsAt - this.#now();
      if (leftMs <= 0) throw error;
      return { ...held, renewAt: this.#now() + leftMs / 2 }; // it is good for some time yet
    }
  }

  async #next(held: Held): Promise<Held> {
    const renewed = held.token.isRenewable ? await this.#login.renew(held.token) : undefined;
    const next = renewed && this.#hold(renewed);
    // Vault counts whole seconds: less than one more is none.
    if (next && next.endsAt > held.endsAt + 1000) return next;
    // Not renewable, or at the end of its longest life.
    if (this.#login.canRepeat) return await this.#logIn();
    return { ...held, renewAt: Infinity };
  }

  /** To be renewed when two thirds of its life are over. */
  #hold(token: VaultToken): Held {
    const { ttlMs = Infinity } = token;
    return { token, renewAt: this.#now() + ttlMs * 2 / 3, endsAt: this.#now() + ttlMs };
  }

  #denied({ action }: VaultRequest): CredentialsBackendError {
    return vaultError(
      "backend_denied",
      action,
      this.#client.place,
      "the policies of the Vault token do not allow it",
      "Have them allow what the documentation of VaultCredentialsBackend lists, for this mount, path " +
        "and namespace.",
    );
  }
}
