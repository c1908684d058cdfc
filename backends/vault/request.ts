/** A request to Vault's API. */
export interface VaultRequest {
  /** As in "Cannot {action} Vault …". */
  readonly action: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** The path after `/v1/`, encoded. */
  readonly path: string;
  readonly body?: Record<string, unknown>;
  readonly token?: string;
  readonly signal?: AbortSignal | undefined;
  /** A shorter time limit than the client's, in milliseconds. */
  readonly timeoutMs?: number;
}

/** Vault's answer. */
export interface VaultAnswer {
  readonly status: number;
  /** The JSON object; empty where the answer holds none. */
  readonly body: Record<string, unknown>;
  /** Vault's own words on an error, in brackets; empty where they may quote a secret. */
  readonly words: string;
}

/** A path as it stands in a URL. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
