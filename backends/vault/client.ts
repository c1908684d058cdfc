import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { LONGEST_TIMER_MS, type Timer, untilAborted } from "../common/promises.ts";
import { isNotCapable, needDeno, netHost, permissionFlag } from "../common/platform.ts";
import { parseObject, readText } from "../common/printable.ts";
import type { VaultConnection } from "./connection.ts";
import {
  endlessAnswer,
  failedConnection,
  passingTrouble,
  strayRedirect,
  tooLarge,
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

const MAX_REDIRECTS = 3;
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
      const result = await this.#attempt(request, Math.max(deadline - now(), 0));
      if ("status" in result) return result;
      const backoff = Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS);
      const wait = Math.max(result.retryAfterMs ?? 0, backoff * (0.5 + Math.random() / 2));
      if (result.isLasting || now() + wait + shortestMs >= deadline) {
        const { code = "backend_unavailable", reason, advice } = result;
        throw this.#error(code, request, `${reason}. ${advice}`);
      }
      await delay(wait, request.signal);
    }
  }

  close(): void {
    this.#http?.close();
  }

  #trust(caCert: string): Deno.HttpClient {
    needDeno(
      `use ${this.#connection.caCert} for ${this.place}`,
      "Set NODE_EXTRA_CA_CERTS instead.",
    );
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

  async #attempt(request: VaultRequest, ms: number): Promise<VaultAnswer | VaultTrouble> {
    // Not by setTimeout, whose first use in a process takes Deno some 4 ms. Node takes no fraction.
    const late = AbortSignal.timeout(Math.ceil(Math.min(ms, LONGEST_TIMER_MS)));
    const { signal } = request;
    const ends = signal === undefined ? late : AbortSignal.any([signal, late]);
    try {
      // The `fetch` of an option may ignore its signal.
      return await untilAborted(this.#exchange(request, ends), ends);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof CredentialsBackendError) throw error;
      if (late.aborted) throw this.#timedOut(request);
      if (isNotCapable(error)) throw this.#notPermitted(request);
      return failedConnection(error);
    }
  }

  async #exchange(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer | VaultTrouble> {
    const response = await this.#send(request, signal);
    if ("reason" in response) return response;
    const { status } = response;
    const text = await readText(response, signal, MAX_ANSWER_BYTES);
    if (text === undefined) return endlessAnswer(status);
    const body = parseObject(text);
    if (tooLarge(status, text)) throw this.#tooLarge(request);
    const words = vaultWords(body ?? {}, [request.token ?? "", JSON.stringify(request.body) ?? ""]);
    return passingTrouble(request, response, { body, text, words }) ??
      { status, body: body ?? {}, words };
  }

  /** Sends the request. A redirect of a standby is followed to the active node. */
  async #send(request: VaultRequest, signal: AbortSignal): Promise<Response | VaultTrouble> {
    const { address } = this.#connection;
    let url = `${address.origin}${address.pathname.replace(/\/$/, "")}/v1/${request.path}`;
    for (let redirects = 0;; redirects++) {
      const response = await this.#options.fetch(url, this.#init(request, signal));
      const { status } = response;
      if (status < 300 || status > 399) return response;
      await response.body?.cancel();
      const location = response.headers.get("location");
      const target = location === null ? null : URL.parse(location, url);
      const { origins } = this.#connection;
      const isFollowed = (status === 307 || status === 308) && redirects < MAX_REDIRECTS &&
        target !== null && origins.includes(target.origin);
      if (!isFollowed) return strayRedirect(status, target);
      url = target.href;
    }
  }

  #init(request: VaultRequest, signal: AbortSignal): RequestInit & { client?: Deno.HttpClient } {
    const { namespace } = this.#connection;
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    if (body !== undefined && body.length > MAX_REQUEST_CHARS) throw this.#tooLarge(request);
    return {
      method: request.method,
      headers: {
        "x-vault-request": "true", // a Vault Agent passes nothing on without it
        ...(request.token !== undefined && { "x-vault-token": request.token }),
        ...(namespace && { "x-vault-namespace": namespace }),
      },
      // Deno sends a text again when a kept connection ends (denoland/deno#32566), a Blob once.
      ...(body !== undefined && { body: new Blob([body], { type: "application/json" }) }),
      redirect: "manual",
      signal,
      ...(this.#http && { client: this.#http }),
    };
  }

  #tooLarge(request: VaultRequest): CredentialsBackendError {
    const message = "the entry is larger than its storage takes. Use another backend, or ask " +
      "the provider for smaller tokens.";
    return this.#error("backend_too_large", request, message);
  }

  #timedOut(request: VaultRequest): CredentialsBackendError {
    const { timeoutMs = this.#options.timeoutMs } = request;
    const message = `there was no answer within ${timeoutMs} ms. Check the network, or give more ` +
      `time with timeoutMs. A write may still have been done.`;
    return this.#error("backend_timeout", request, message);
  }

  #notPermitted(request: VaultRequest): CredentialsBackendError {
    const hosts = new Set(this.#connection.origins.map((origin) => netHost(new URL(origin))));
    const message = `Deno does not permit it. Run with: ${permissionFlag("net", ...hosts)}`;
    return this.#error("permission_required", request, message);
  }

  #error(
    code: CredentialsBackendErrorCode,
    { action }: VaultRequest,
    message: string,
  ): CredentialsBackendError {
    return new CredentialsBackendError(code, `Cannot ${action} ${this.place}: ${message}`);
  }
}
