import type { CredentialsBackendErrorCode } from "../backends/credentials_backend_error.ts";
import type { Revocation } from "./clear_result.ts";
import type { ValidMindAuthErrorCode } from "./errors.ts";

/** When something happened, and to whose credentials. */
export interface AuthEventContext {
  /** When, by the clock of the session. */
  readonly time: Date;
  /** The issuer; absent with an API key. */
  readonly issuer?: string;
  /** The client id; absent with an API key. */
  readonly clientId?: string;
}

/** The stable code of what went wrong; absent for an error that is not this module's. */
export type AuthEventErrorCode = ValidMindAuthErrorCode | CredentialsBackendErrorCode;

/**
 * What happened: names, numbers and times. None of it has a place for a token, a device code, a user
 * code, a link, a person's name or the text of an error, so that a log of it needs no cleaning.
 *
 * | type | when |
 * |---|---|
 * | `sign_in_started` | before the provider is asked for a code |
 * | `code_shown` | the person is shown link and code |
 * | `sign_in_waiting` | after each poll that decided nothing |
 * | `sign_in_approved` | the provider gave tokens |
 * | `sign_in_failed` | denied, expired, interrupted, or another fault |
 * | `sign_in_joined` | another session of this process is asking already |
 * | `refresh_started`, `refresh_done`, `refresh_failed` | around a request for new tokens |
 * | `refresh_joined` | somebody else has refreshed, or is about to: another session or process |
 * | `lock_waiting` | another process has held the lock for a second |
 * | `lock_waited` | that wait is over |
 * | `stored` | new tokens are in the backend |
 * | `cleared` | the entry is gone from the backend |
 * | `api_retry` | the API refused the token, and gets the request again with another |
 */
export type AuthEventDetail =
  | { readonly type: "sign_in_started" }
  | { readonly type: "code_shown"; readonly expiresAt: Date }
  | {
    readonly type: "sign_in_waiting";
    /** `fault`: no answer, or none that could be understood. */
    readonly answer: "pending" | "slow_down" | "fault";
    /** Until the next poll, in milliseconds. */
    readonly nextPollMs: number;
  }
  | { readonly type: "sign_in_approved" }
  | {
    readonly type: "sign_in_failed";
    readonly reason: "denied" | "expired" | "interrupted" | "error";
    readonly code?: AuthEventErrorCode;
  }
  | { readonly type: "sign_in_joined" }
  | { readonly type: "refresh_started" }
  | { readonly type: "refresh_done"; readonly expiresAt?: Date }
  | { readonly type: "refresh_failed"; readonly code?: AuthEventErrorCode }
  | { readonly type: "refresh_joined" }
  | { readonly type: "lock_waiting"; readonly waitedMs: number }
  | { readonly type: "lock_waited"; readonly waitedMs: number }
  | { readonly type: "stored"; readonly backend: string; readonly expiresAt?: Date }
  | { readonly type: "cleared"; readonly removed: boolean; readonly revocation: Revocation }
  | { readonly type: "api_retry"; readonly status: number };

/**
 * What the option `onEvent` is told, for a log of one's own. See {@linkcode AuthEventDetail} for the
 * types.
 *
 * @example One line of JSON for each event
 * ```ts
 * import { init } from "@validmind/auth";
 *
 * await init({
 *   model: "cl123",
 *   onEvent: (event) => console.error(JSON.stringify(event)),
 * });
 * ```
 */
export type AuthEvent = AuthEventContext & AuthEventDetail;
