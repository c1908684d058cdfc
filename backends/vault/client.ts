import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { LONGEST_TIMER_MS, type Timer, untilAborted } from "../common/promises.ts";
import { isNotCapable, netHost, permissionFlag } from "../common/platform.ts";
import { parseObject, readText } from "../common/printable.ts";
import type { VaultConnection } from "./connection.ts";
import {
  failedConnection,
  isTooLarge,
  otherServer,
  redirected,
  TOO_LARGE,
  troubleOf,
  type VaultAnswer,
  type VaultRequest,
  type VaultTrouble,
  vaultWords,
} from "./error.ts";

export interface VaultClientOptions {
  readonly fetch: typeof fetch;
  readonly timer: Timer;
  /** Time limit of one request with its repeats, in milliseconds. */
  readonly timeoutMs: number;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;
/**
 * With less time left it is not tried again: "no answer" would hide the trouble that is known. A fifth of a
 * short limit is enough.
 */
const SHORTEST_TRY_MS = 500;
/** The longest body that is sent. Vault's own storage takes 1 MiB. */
const MAX_REQUEST_CHARS = 4 * 1024 * 1024;
/** The longest answer, unpacked: room for the longest body in JSON. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Requests to one Vault. Each is repeated after a passing trouble, up to a time limit. */
export class VaultClient {
  readonly place: string;
  readonly #connection: VaultConnection;
  readonly #options: VaultClientOptions;
  readonly #http: Deno.HttpClient | undefined;

  /** @param caCert The content of the certificate file that the connection names. */
  constructor(
    connection: VaultConnection,
    caCert: string | undefined,
    options: VaultClientOptions,
  ) {
    this.place = `Vault at ${connection.address.host}`;
    this.#connection = connection;
    this.#options = options;
    this.#http = caCert === undefined ? undefined : this.#trust(caCert);
  }

  /** The answer of any status, except for a passing trouble, after which it is tried again. */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const { now, delay } = this.#options.timer;
    const timeoutMs = Math.min(request.timeoutMs ?? Infinity, this.#options.timeoutMs);
    const deadline = now() + timeoutMs;
    const shortestMs = Math.min(SHORTEST_TRY_MS, timeoutMs / 5);
    for (let tries = 0;; tries++) {
      request.signal?.throwIfAborted();
      const result = await this.#attempt(request, Math.max(deadline - now(), 0), timeoutMs);
      if ("status" in result) return result;
      const backoff = Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS);
      const wait = Math.max(result.retryAfterMs ?? 0, backoff * (0.5 + Math.random() / 2));
      if (result.isLasting || now() + wait + shortestMs >= deadline) {
        const { code = "backend_unavailable", reason, advice } = result;
        const message = `Cannot ${request.action} ${this.place}: ${reason}. ${advice}`;
        throw new CredentialsBackendError(code, message);
      }
      await delay(wait, request.signal);
    }
  }

  close(): void {
    this.#http?.close();
  }

  #trust(caCert: string): Deno.HttpClient {
    try {
      // Deno ignores other formats, such as DER. The server's certificate would be blamed then.
      if (caCert.includes("-----BEGIN CERTIFICATE-----")) {
        return Deno.createHttpClient({ caCerts: [caCert] });
      }
    } catch {
      // The error is thrown below.
    }
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot use ${this.place}: the file ${this.#connection.caCert} holds no sound certificate. ` +
        `Give a PEM file in VAULT_CACERT or the option caCert.`,
    );
  }

  async #attempt(
    request: VaultRequest,
    leftMs: number,
    timeoutMs: number,
  ): Promise<VaultAnswer | VaultTrouble> {
    // Not by setTimeout, whose first use in a process takes Deno some 4 ms. Node takes no fraction.
    const late = AbortSignal.timeout(Math.ceil(Math.min(leftMs, LONGEST_TIMER_MS)));
    const { signal } = request;
    const ends = signal === undefined ? late : AbortSignal.any([signal, late]);
    try {
      // The `fetch` of an option may ignore its signal.
      return await untilAborted(this.#exchange(request, ends), ends);
    } catch (error) {
      signal?.throwIfAborted();
      if (late.aborted) return lateAnswer(timeoutMs);
      return isNotCapable(error) ? this.#notPermitted() : failedConnection(error);
    }
  }

  async #exchange(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer | VaultTrouble> {
    const sent = request.body === undefined ? "" : JSON.stringify(request.body);
    if (sent.length > MAX_REQUEST_CHARS) return TOO_LARGE;
    const { address } = this.#connection;
    const url = `${address.origin}${address.pathname.replace(/\/$/, "")}/v1/${request.path}`;
    const response = await this.#options.fetch(url, this.#init(request, sent, signal));
    const { status } = response;
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      return redirected(response, url);
    }
    const text = await readText(response, signal, MAX_ANSWER_BYTES);
    if (text === undefined) return otherServer(`without end (status ${status})`);
    if (isTooLarge(status, text)) return TOO_LARGE;
    const body = parseObject(text);
    const words = vaultWords(body ?? {}, [request.token ?? "", sent]);
    return troubleOf(request, response, { body, text, words }) ??
      { status, body: body ?? {}, words };
  }

  #init(
    { method, token }: VaultRequest,
    sent: string,
    signal: AbortSignal,
  ): RequestInit & { client?: Deno.HttpClient } {
    const { namespace } = this.#connection;
    return {
      method,
      headers: {
        "x-vault-request": "true", // a Vault Agent passes nothing on without it
        ...(token !== undefined && { "x-vault-token": token }),
        ...(namespace && { "x-vault-namespace": namespace }),
      },
      // Deno sends a text again when a kept connection ends (denoland/deno#32566), a Blob once.
      ...(sent && { body: new Blob([sent], { type: "application/json" }) }),
      redirect: "manual",
      signal,
      ...(this.#http && { client: this.#http }),
    };
  }

  #notPermitted(): VaultTrouble {
    const advice = `Run with: ${permissionFlag("net", netHost(this.#connection.address))}`;
    const reason = "Deno does not permit it";
    return { code: "permission_required", reason, advice, isLasting: true };
  }
}

function lateAnswer(timeoutMs: number): VaultTrouble {
  return {
    code: "backend_timeout",
    reason: `there was no answer within ${timeoutMs} ms`,
    advice:
      "Check the network, or give more time with timeoutMs. A write may still have been done.",
    isLasting: true,
  };
}
