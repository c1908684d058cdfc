import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { isDeno } from "../common/platform.ts";
import { connectionFault, NO_HTTPS, parseRetryAfter, UNTRUSTED } from "../common/printable.ts";
import { sharesPiece } from "../common/redact.ts";

export interface VaultUse {
  /** As in "Cannot {action} Vault …". */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  /** A shorter time limit than the client's, in milliseconds. */
  readonly timeoutMs?: number;
}

export interface VaultRequest extends VaultUse {
  readonly method: "GET" | "POST" | "DELETE";
  /** The path after `/v1/`, encoded. */
  readonly path: string;
  readonly body?: object;
  readonly token?: string;
}

export interface VaultAnswer {
  readonly status: number;
  /** The JSON object; empty where the answer holds none. */
  readonly body: Record<string, unknown>;
  /** Vault's own words on an error, in brackets; empty where they may quote a secret. */
  readonly words: string;
}

export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** The reason why a request did not get an answer of Vault's. */
export interface VaultTrouble {
  /** @default "backend_unavailable" */
  readonly code?: CredentialsBackendErrorCode;
  readonly reason: string;
  readonly advice: string;
  readonly retryAfterMs?: number;
  /** Trying again is of no use. */
  readonly isLasting?: boolean;
}

const LATER = "Try again later; nothing that is stored is lost.";
const OTHER_SERVER =
  "Check the address, and that no proxy or network asks for a sign-in of its own.";
/** Statuses by which a node says that it does not serve now, beside those from 500 on. */
const NOT_YET = [412, 429, 472, 473];

/**
 * The error for an answer that is neither a success nor a known refusal. Like all errors of this store
 * it has no cause: an error of `fetch` may hold the request, and the request holds the token.
 */
export function unexpected(
  action: string,
  place: string,
  { status, words }: VaultAnswer,
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${place}: it answers with status ${status}${words}. Check the address, the ` +
      `mount and the path. Nothing that is stored is lost.`,
  );
}

/** See {@linkcode VaultAnswer}. The words may share no piece with the `secrets` of the request. */
export function vaultWords(body: Record<string, unknown>, secrets: readonly string[]): string {
  const [first] = Array.isArray(body.errors) ? body.errors : [];
  if (typeof first !== "string") return "";
  const words = first.replace(/[^\x20-\x7e]+/g, " ").trim().slice(0, 200);
  return words === "" || sharesPiece(words, secrets) ? "" : ` (${words})`;
}

/** The trouble that an answer tells of; `undefined` for a real answer. */
export function troubleOf(
  { path }: VaultRequest,
  { status, headers }: Response,
  { body, text, words }: { body: unknown; text: string; words: string },
): VaultTrouble | undefined {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
  const trouble = (reason: string, advice = LATER): VaultTrouble => {
    return { reason, advice, ...(retryAfterMs !== undefined && { retryAfterMs }) };
  };
  if (status === 429) {
    return trouble("it limits requests", "Try again later, or have its rate limit raised.");
  }
  if (status === 503 && /sealed/i.test(text)) {
    return trouble(
      "it is sealed (status 503)",
      "Have it unsealed; nothing that is stored is lost.",
    );
  }
  if (/could not find version data/.test(text)) { // KV 2 removes versions before their metadata
    const reason = `the content of ${decodeURI(path)} is gone, as after a deletion that broke off`;
    const advice = "Finish it by a sign-out, or with vault kv metadata delete.";
    return { ...trouble(reason, advice), code: "backend_corrupt" };
  }
  // After its mount and after an unseal KV 2 is not ready for a moment, and answers with status 400.
  const isStarting = status === 400 && /versioned data/.test(text);
  if (status >= 500 || NOT_YET.includes(status) || isStarting) {
    return trouble(`it does not serve now: status ${status}${words}`);
  }
  if (body !== undefined || text === "") return undefined;
  return otherServer(`with status ${status}`);
}

/** The trouble of an answer that is not Vault's. */
export function otherServer(how: string): VaultTrouble {
  const reason = `another server than Vault answers ${how}`;
  return { reason, advice: OTHER_SERVER, isLasting: true };
}

/** The trouble with an entry that Vault, its storage, a proxy or this module refuses for its size. */
export const TOO_LARGE: VaultTrouble = {
  code: "backend_too_large",
  reason: "the entry is larger than its storage takes",
  advice: "Use another backend, or ask the provider for smaller tokens.",
  isLasting: true,
};

/**
 * A redirect, which the token does not follow. When the active node has died, a standby goes on naming it
 * until another one is active: that passes, and it is told from a redirect of a proxy by its form.
 */
export function redirected({ status, headers }: Response, url: string): VaultTrouble {
  const target = URL.parse(headers.get("location") ?? "//", url);
  return {
    reason:
      `it redirects to ${target?.host || "nowhere"}, and the token goes only to the address ` +
      `that was given`,
    advice: "Give the address of the active node, or of a balancer that knows it.",
    isLasting: !(status === 307 || status === 308) || !/\/v1\//.test(target?.pathname ?? ""),
  };
}

export function isTooLarge(status: number, text: string): boolean {
  return status === 413 ||
    (status >= 400 && /too large|exceeds? (the )?(maximum|limit|allowed)/i.test(text));
}

/** The failure of a connection. The runtime's own words for it may hold a path. */
export function failedConnection(error: unknown): VaultTrouble {
  const fault = connectionFault(error);
  const name = error instanceof Error ? error.name : "unknown";
  const setting = isDeno ? "VAULT_CACERT or the option caCert" : "NODE_EXTRA_CA_CERTS";
  return {
    reason: fault ?? `the connection failed (${name})`,
    advice: fault === UNTRUSTED
      ? `Name the PEM file of the authority that made it in ${setting}.`
      : "Check that it runs, its address and the network.",
    isLasting: fault === UNTRUSTED || fault === NO_HTTPS, // a node that ends breaks off handshakes, too
  };
}
