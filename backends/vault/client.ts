import { assertSafe, connectionFault, isLasting, UNTRUSTED } from "../common/connection_fault.ts";
import { isLoopback, netHost } from "../common/host.ts";
import { parseRetryAfter, readText } from "../common/http_answer.ts";
import { WRITABLE_FOR_OTHERS } from "../common/judge_path.ts";
import { objectIn, parseObject } from "../common/json.ts";
import { isNotCapable, permissionFlag } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { LONGEST_TIMER_MS, type Timer, untilAborted } from "../common/promises.ts";
import { readPrivateFile } from "../common/read_private_file.ts";
import { redact } from "../common/redaction.ts";
import { repeat } from "../common/repeat.ts";
import { isDeno } from "../common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { SecretUse } from "./locked_secrets.ts";
import type { VaultConnection } from "./options.ts";

interface VaultClientOptions {
  readonly fetch: typeof fetch;
  readonly timer: Timer;
  /** Time limit of one request with its repeats, in milliseconds. */
  readonly timeoutMs: number;
}

const PAUSE_MS = 100;
/**
 * With less time left it is not tried again: "no answer" would hide the trouble that is known. A fifth of a
 * short limit is enough.
 */
const SHORTEST_TRY_MS = 500;
/** The longest answer, unpacked. Vault's own storage takes 1 MiB. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** More than an entry has. To look for a longer text takes seconds. */
const LONGEST_SECRET = 100_000;

/** Requests to one Vault. Each is repeated after a passing trouble, up to a time limit. */
export class VaultClient {
  readonly place: string;
  /** Whether a Vault Agent or Proxy may answer, which adds its own token. */
  readonly isLocal: boolean;
  readonly #connection: VaultConnection;
  readonly #options: VaultClientOptions;
  readonly #http: Deno.HttpClient | undefined;

  constructor(connection: VaultConnection, options: VaultClientOptions) {
    this.place = `Vault at ${connection.address.host}`;
    this.isLocal = isLoopback(connection.address.hostname);
    this.#connection = connection;
    this.#options = options;
    this.#http = connection.caCert === undefined ? undefined : this.#trust(connection.caCert);
  }

  /** The answer of any status, except for a passing trouble, after which it is tried again. */
  async request(request: VaultRequest): Promise<VaultAnswer> {
    const { timer, timeoutMs } = this.#options;
    const { action, signal } = request;
    const withinMs = timeoutMs - Math.min(SHORTEST_TRY_MS, timeoutMs / 5);
    const begun = timer.now();
    const fault = ({ code = "backend_unavailable", reason, advice }: VaultTrouble, spent = "") =>
      this.error(code, action, reason + spent, advice);
    let last: VaultTrouble;
    const over = (spent: string) => fault(last, `, ${spent}`);
    return await repeat({ pauseMs: PAUSE_MS, withinMs, signal, timer, over }, async () => {
      const leftMs = Math.max(timeoutMs - (timer.now() - begun), 0);
      const result = await this.#attempt(request, leftMs);
      if ("status" in result) return result;
      last = result;
      const { isPassing, retryAfterMs = 0 } = result;
      if (!isPassing || retryAfterMs > leftMs) throw fault(result);
      if (retryAfterMs > 0) await timer.delay(retryAfterMs, signal);
      return undefined;
    });
  }

  error(
    code: CredentialsBackendErrorCode,
    action: string,
    reason: string,
    remedy: string,
  ) {
    return new CredentialsBackendError(code, { action: `${action} ${this.place}`, reason, remedy });
  }

  /** The text of a file that the connection or the login needs. */
  read(path: string, action: string, what: string, forbiddenMode: number) {
    return readPrivateFile(path, {
      what,
      forbiddenMode,
      fail: (reason, advice, cause) =>
        this.error(
          isNotCapable(cause) ? "permission_required" : "backend_auth_failed",
          action,
          `the file ${path} cannot be used: ${reason}`,
          advice,
        ),
    });
  }

  close() {
    this.#http?.close();
  }

  #trust(path: string) {
    const pem = this.read(path, "use", "a certificate", WRITABLE_FOR_OTHERS); // no secret: others may read it
    try {
      // Deno ignores other formats, such as DER. The server's certificate would be blamed then.
      if (pem.includes("-----BEGIN CERTIFICATE-----")) {
        return Deno.createHttpClient({ caCerts: [pem] });
      }
    } catch {
      // The error is thrown below.
    }
    const reason = `the file ${path} holds no valid certificate`;
    const advice = "Give a PEM file in VAULT_CACERT or the option caCert.";
    throw this.error("invalid_options", "use", reason, advice);
  }

  async #attempt(request: VaultRequest, leftMs: number): Promise<VaultAnswer | VaultTrouble> {
    // Not by setTimeout, whose first use in a process takes Deno some 4 ms. Node takes no fraction.
    const late = AbortSignal.timeout(Math.ceil(Math.min(leftMs, LONGEST_TIMER_MS)));
    const { signal } = request;
    const ends = signal ? AbortSignal.any([signal, late]) : late;
    try {
      // The `fetch` of an option may ignore its signal.
      return await untilAborted(this.#exchange(request, ends), ends);
    } catch (error) {
      signal?.throwIfAborted();
      if (!late.aborted) return failedConnection(error, this.#connection.address);
      return {
        code: "backend_timeout",
        reason: `there was no answer within ${this.#options.timeoutMs} ms`,
        advice: "Check the network, or raise timeoutMs. A write may have been done all the same.",
      };
    }
  }

  async #exchange(request: VaultRequest, signal: AbortSignal): Promise<VaultAnswer | VaultTrouble> {
    // Deno sends a text again when a kept connection ends (denoland/deno#32566), a Blob once.
    const sent = request.body &&
      new Blob([JSON.stringify(request.body)], { type: "application/json" });
    const { address, namespace } = this.#connection;
    const url = `${address.href.replace(/\/$/, "")}/v1/${request.path}`;
    const init: RequestInit & { client?: Deno.HttpClient } = {
      method: request.method,
      headers: {
        "x-vault-request": "true", // a Vault Agent passes nothing on without it
        ...(request.token !== undefined && { "x-vault-token": request.token }),
        ...(namespace && { "x-vault-namespace": namespace }),
      },
      body: sent,
      redirect: "manual",
      signal,
      ...(this.#http && { client: this.#http }),
    };
    // The name of a role is no secret, and Vault's words on a wrong one have it.
    const secret = JSON.stringify({ ...request.body, role: undefined }).slice(0, LONGEST_SECRET);
    const { fetch } = this.#options;
    if (fetch === globalThis.fetch) assertSafe(address);
    const response = await fetch(url, init);
    const { status, headers } = response;
    if (status >= 300 && status < 400) {
      await response.body?.cancel();
      return redirected(response, url, request.token ?? secret);
    }
    const text = await readText(response, signal, MAX_ANSWER_BYTES);
    const body = parseObject(text);
    const words = vaultWords(body, [request.token ?? "", secret]);
    const trouble = troubleOf(status, text, words);
    const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
    if (trouble) return { ...trouble, retryAfterMs };
    if (!body && text !== "") return otherServer(status);
    return { status, body: body ?? {}, data: objectIn(body?.data), words };
  }
}

/** A request; its action is as in "Cannot {action} Vault …". */
export interface VaultRequest extends SecretUse {
  readonly method: "GET" | "POST";
  /** The path after `/v1/`, encoded. */
  readonly path: string;
  readonly body?: object;
  readonly token?: string;
}

export interface VaultAnswer {
  readonly status: number;
  /** The JSON object; empty where the answer holds none. */
  readonly body: Record<string, unknown>;
  /** Its member `data`; empty where it holds none. */
  readonly data: Record<string, unknown>;
  /** Vault's own words on an error, in brackets. */
  readonly words: string;
}

export function encodePath(path: string) {
  return path.split("/").map(encodeURIComponent).join("/");
}

/**
 * The reason why a request did not get an answer of Vault's. No error of this store has a cause: an error
 * of `fetch` may hold the request, and the request holds the token.
 */
interface VaultTrouble {
  /** @default {"backend_unavailable"} */
  readonly code?: CredentialsBackendErrorCode;
  readonly reason: string;
  readonly advice: string;
  readonly retryAfterMs?: number;
  /** It may be gone at the next try. */
  readonly isPassing?: boolean;
}

/** Statuses by which a node says that it does not serve now, beside those from 500 on. */
const NOT_YET = [412, 429, 472, 473];

/** Vault's words for {@linkcode VaultAnswer}, without a piece of the `secrets` of the request. */
function vaultWords(body: Record<string, unknown> = {}, secrets: readonly string[]) {
  const [first] = Array.isArray(body.errors) ? body.errors : [];
  if (typeof first !== "string") return "";
  const words = redact(printable(first), secrets);
  return words === "" ? "" : ` (${words})`;
}

/** The trouble that an answer tells of; `undefined` for a real answer. */
function troubleOf(
  status: number,
  text: string,
  words: string,
): VaultTrouble | undefined {
  if (status === 413 || (status >= 400 && TOO_LARGE.test(text))) {
    return {
      code: "backend_too_large",
      reason: "the entry is larger than its storage takes",
      advice: "Use another backend, or ask the provider for smaller tokens.",
    };
  }
  // After its mount and after an unseal KV 2 is not ready for a moment, and answers with status 400.
  const isStarting = status === 400 && /versioned data/.test(text);
  if (status < 500 && !NOT_YET.includes(status) && !isStarting) return undefined;
  return {
    reason: `it does not serve now: status ${status}${words}`,
    advice: "Try again later. Nothing that is stored is lost.",
    isPassing: true,
  };
}

/** The trouble of an answer that is not Vault's. */
function otherServer(status: number): VaultTrouble {
  return {
    reason: `another server than Vault answers with status ${status}`,
    advice: "Check the address, and that no proxy or network asks for a sign-in of its own.",
  };
}

/** The words of Vault, its storage or a proxy for the size of an entry. */
const TOO_LARGE = /too large|exceeds? (the )?(maximum|limit|allowed)/i;

/**
 * A redirect, which the token does not follow. When the active node has died, a standby still names it
 * until another node is active. This passes. Its path tells it from the redirect of a proxy.
 */
function redirected(
  { status, headers }: Response,
  url: string,
  secret: string,
): VaultTrouble {
  const target = URL.parse(headers.get("location") ?? "//", url);
  const host = redact(target?.host ?? "", [secret]);
  return {
    reason: `it redirects to ${
      host || "nowhere"
    }, and the token goes only to the address that was given`,
    advice: "Give the address of the active node, or of a balancer that knows it.",
    isPassing: (status === 307 || status === 308) && /\/v1\//.test(target?.pathname ?? ""),
  };
}

/** The failure of a connection. The runtime's own words for it may hold a path. */
function failedConnection(error: unknown, address: URL): VaultTrouble {
  if (isNotCapable(error)) {
    return {
      code: "permission_required",
      reason: "Deno does not permit it",
      advice: `Run with: ${permissionFlag("net", netHost(address))}`,
    };
  }
  const fault = connectionFault(error);
  const name = error instanceof Error ? error.name : "unknown";
  const setting = isDeno ? "VAULT_CACERT or the option caCert" : "NODE_EXTRA_CA_CERTS";
  return {
    reason: fault ?? `the connection failed (${name})`,
    advice: fault === UNTRUSTED
      ? `Name the PEM file of the authority that made it in ${setting}.`
      : "Check that it runs, its address and the network.",
    isPassing: !isLasting(fault), // a node that ends breaks off handshakes, too
  };
}
