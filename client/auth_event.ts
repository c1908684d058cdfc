import type { Revocation } from "./session.ts";
import type { CredentialsBackendErrorCode } from "../backends/credentials_backend_error.ts";
import type { ValidMindAuthErrorCode } from "./errors.ts";

/**
 * Time and credentials of an event.
 *
 * @category Sign in
 */
export interface AuthEventContext {
  /** Time of the event, by the clock of the session. */
  readonly time: Date;
  /** The issuer; absent with an API key. */
  readonly issuer?: string;
  /** The client id; absent with an API key. */
  readonly clientId?: string;
}

/**
 * The stable code of an error of this module.
 *
 * @category Sign in
 */
export type AuthEventErrorCode = ValidMindAuthErrorCode | CredentialsBackendErrorCode;

/**
 * The step that an event reports: names, numbers and times. No member has a token, a code, a link, a
 * person's name or the text of an error. A log of events needs no cleaning.
 *
 * | type | when |
 * |---|---|
 * | `provider_answered` | the provider answered a request |
 * | `sign_in_started` | the provider is about to be asked for a code |
 * | `flow_changed` | the device flow is not available, and the sign-in goes on with another flow |
 * | `code_shown` | link and code are shown to the person |
 * | `link_shown` | the link of a sign-in in the browser is shown to the person |
 * | `sign_in_waiting` | a poll gave no decision |
 * | `sign_in_approved` | the provider gave tokens |
 * | `sign_in_failed` | the sign-in was denied, expired, was interrupted or failed |
 * | `sign_in_joined` | another session or process has signed in, or is signing in |
 * | `refresh_started`, `refresh_done` | around a request for new tokens |
 * | `refresh_failed` | no new tokens came, or they could not be stored |
 * | `refresh_joined` | another session or process has refreshed, or is refreshing |
 * | `stored` | new tokens are stored in the backend |
 * | `cleared` | the entry was removed from the backend |
 * | `signed_in` | the session has its token, stored or new |
 * | `api_retry` | the API refused the token, and the request is sent again with a new one |
 *
 * `endpoint` is a name, such as `token`. `backend` is the class of the store. `code` is that of the error.
 * `expiresAt` is the end of the shown code or link, or of the token. Times in `Ms` are milliseconds.
 *
 * @category Sign in
 */
export type AuthEventDetail =
  | {
    readonly type: "provider_answered";
    /** The endpoint's name, such as `token`. */
    readonly endpoint: string;
    readonly status: number;
  }
  | { readonly type: "sign_in_started" }
  | {
    readonly type: "flow_changed";
    readonly flow: "browser";
    /** The code of the device flow's error. */
    readonly code?: AuthEventErrorCode;
  }
  | { readonly type: "code_shown"; readonly expiresAt: Date }
  | { readonly type: "link_shown"; readonly expiresAt: Date }
  | {
    readonly type: "sign_in_waiting";
    /** `fault`: no answer, or an unreadable one. */
    readonly answer: "pending" | "slow_down" | "fault";
    /** Time until the next poll, in milliseconds. */
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
  | { readonly type: "stored"; readonly backend: string; readonly expiresAt?: Date }
  | { readonly type: "cleared"; readonly removed: boolean; readonly revocation: Revocation }
  | { readonly type: "signed_in"; readonly expiresAt?: Date }
  | { readonly type: "api_retry"; readonly status: number };

/**
 * One step of a sign-in, a refresh or a call, as the option `onEvent` receives it. See
 * {@linkcode AuthEventDetail} for the types.
 *
 * @category Sign in
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
