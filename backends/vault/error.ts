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
  readonly body?: Record<string, unknown>;
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

export interface VaultTrouble {
  /** @default "backend_unavailable" */
  readonly code?: CredentialsBackendErrorCode;
  readonly reason: string;
  readonly advice: string;
  readonly retryAfterMs?: number;
  /** Trying again is of no use. */
  readonly isLasting?: boolean;
}

const UNSEAL = "Have it unsealed; nothing that is stored is lost.";
const LATER = "Try again later; nothing that is stored is lost.";

/** Statuses of Vault that mean "not yet". */
const STATUSES: Record<number, [reason: string, advice: string]> = {
  412: ["this node has not caught up yet", LATER],
  429: ["it limits requests", "Try again later, or have its rate limit raised."],
  472: ["this node is a disaster recovery standby", "Use the address of the active cluster."],
  473: ["this node is a standby that does not pass requests on", "Use the active node's address."],
};

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

/**
 * The trouble that an answer tells of: Vault is sealed, starts, or changes its active node, or another
 * server answered. `undefined` for a real answer.
 */
export function passingTrouble(
  request: VaultRequest,
  { status, headers }: Response,
  { body, text, words }: { body: Record<string, unknown> | undefined; text: string; words: string },
): VaultTrouble | undefined {
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"));
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  const known = STATUSES[status];
  if (known !== undefined) return { reason: known[0], advice: known[1], ...wait };
  if (status === 503 && /sealed/i.test(text)) {
    return { reason: "it is sealed (status 503)", advice: UNSEAL, ...wait };
  }
  if (status >= 500) return { ...failure(request.path, status, words), ...wait };
  // After its mount and after an unseal KV 2 is not ready for a moment, and answers with status 400.
  if (status === 400 && /versioned data/.test(text)) {
    return { reason: "its KV engine is starting", advice: LATER };
  }
  if (body !== undefined || text === "") return undefined;
  return otherServer(`with status ${status}`);
}

/** An answer that is longer than any of Vault's. */
export function endlessAnswer(status: number): VaultTrouble {
  return otherServer(`without end (status ${status})`);
}

function otherServer(how: string): VaultTrouble {
  return {
    reason: `another server than Vault answers ${how}`,
    advice: "Check the address, and that no proxy or network asks for a sign-in of its own.",
    isLasting: true,
  };
}

/**
 * A redirect that the token does not follow. When the active node has died, a standby goes on naming it
 * until another one is active: that passes, and it is told from a redirect of a proxy by its form.
 */
export function strayRedirect(status: number, target: URL | null): VaultTrouble {
  return {
    reason: `it redirects to ${target?.host || "nowhere"}, and the token follows only to the ` +
      `address and the "nodes" that were given`,
    advice: `If that is a node of the same cluster, name it in the option "nodes".`,
    isLasting: !(status === 307 || status === 308) || !/\/v1\//.test(target?.pathname ?? ""),
  };
}

function failure(path: string, status: number, words: string): VaultTrouble {
  // KV 2 removes versions before their metadata. A replica may also just lag behind.
  if (/could not find version data/.test(words)) {
    return {
      code: "backend_corrupt",
      reason: `the content of ${decodeURI(path)} is gone, as after a deletion that broke off`,
      advice: "Finish it with clearOidcCredentials() or vault kv metadata delete.",
    };
  }
  return { reason: `it failed with status ${status}${words}`, advice: LATER };
}

/** Whether Vault, its storage or a proxy refuses a secret for its size. */
export function tooLarge(status: number, text: string): boolean {
  return status === 413 ||
    (status >= 400 && /too large|exceeds? (the )?(maximum|limit|allowed)/i.test(text));
}

/** The failure of a connection. The runtime's own words for it may hold a path. */
export function failedConnection(error: unknown): VaultTrouble {
  const fault = connectionFault(error);
  if (fault === UNTRUSTED) {
    const setting = isDeno ? "VAULT_CACERT or the option caCert" : "NODE_EXTRA_CA_CERTS";
    return {
      reason: fault,
      advice: `Name the PEM file of the authority that made it in ${setting}.`,
      isLasting: true,
    };
  }
  const name = error instanceof Error ? error.name : "unknown";
  return {
    reason: fault ?? `the connection failed (${name})`,
    advice: "Check that it runs, its address and the network.",
    isLasting: fault === NO_HTTPS, // a node that ends breaks off handshakes, too
  };
}
