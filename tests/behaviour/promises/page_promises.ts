/**
 * A sentence of a page, and the tests that would fail if it were untrue. A sentence is named by its
 * beginning, a test by its file below `tests/` and the beginning of its name, in which "…" stands for a
 * part that varies.
 */
export type PromiseOf = readonly [sentence: string, ...tests: string[]];

/** All sentences of a page, or of some sections, with the rows of its tables. */
export interface PagePromises {
  /** The titles of the sections that are held. @default {all} */
  readonly sections?: readonly string[];
  readonly promises: readonly PromiseOf[];
  /** The beginnings of the sentences that describe, advise or lead elsewhere, and promise nothing. */
  readonly describes: readonly string[];
}

/** The tests of sentences that more than one page has. */
export const NOT_SHOWN: readonly string[] = [
  "behaviour/secrecy/client_test.ts: secrecy: session, backend, status, result and errors over …",
  "behaviour/secrecy/client_test.ts: secrecy: console.log of everything, and the built-in prompt",
  "behaviour/secrecy/backends_test.ts: a … backend that holds tokens shows none, also while",
  "behaviour/secrecy/cli_test.ts: secrecy: no command but token prints a piece of a token",
  "client/signed_in/session_test.ts: session: in a notebook the same is shown, as text and as HTML",
];
export const PRIVATE: readonly string[] = [
  "backends/file_mode_test.ts: a file backend makes file and lock files 0600 and new folders 0700",
  "backends/kv_file_test.ts: a KV database and the files beside it are 0600 from their creation",
];
export const OWN_ORIGIN: readonly string[] = [
  "client/api/transport_test.ts: redirects: another origin does not get the API key",
  "client/api/client_test.ts: another origin gets nothing",
  "client/api/dpop_fetch_test.ts: session: headers() are for the API's own origin only",
];
export const LOOPBACK: readonly string[] = [
  "backends/common/platform_hosts_test.ts: loopback is localhost, 127.0.0.0/8 and [::1]",
  "client/provider/fetch_test.ts: providerFetch: no secret goes over http: off loopback",
];
export const STORE_TROUBLE: readonly string[] = [
  "backends/fallback/stores_test.ts: … is an error, whatever the other stores have",
  "backends/file_corrupt_test.ts: a file that is … is an error without its content, and is left",
  "behaviour/storage/backend_error_test.ts: backend errors: … that quotes tokens is not passed on",
];
export const EXACT_FLAGS: readonly string[] = [
  "behaviour/permissions/permission_proof_test.ts: permissions: …: what is declared is enough, and",
  "behaviour/permissions/permission_proof_test.ts: permissions: …: Deno's audit log has nothing",
  "behaviour/permissions/cli_proof_test.ts: permissions: … runs with exactly what it names, and not",
];
export const GONE: readonly string[] = [
  "client/tokens/clear_test.ts: clear: a provider that is down cannot keep the entry",
  "client/tokens/clear_test.ts: clear: a revocation that is refused is reported",
];
