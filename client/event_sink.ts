import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import type { AuthEvent, AuthEventDetail, AuthEventErrorCode } from "./auth_event.ts";
import { ValidMindAuthError } from "./errors.ts";

/** Tells what happened. */
export type Emit = (detail: AuthEventDetail) => void;

/**
 * Hands events on to a caller's hook. What the hook throws, also later, is dropped: a log that fails
 * must not cost a sign-in, and there is no better place to tell it.
 */
export function eventSink(
  onEvent: ((event: AuthEvent) => void) | undefined,
  context: { issuer?: string; clientId?: string },
  now: () => number,
): Emit | undefined {
  if (onEvent === undefined) return undefined;
  const { issuer, clientId } = context;
  const whose = issuer === undefined || clientId === undefined ? {} : { issuer, clientId };
  return (detail) => {
    const event = { time: new Date(now()), ...whose, ...detail };
    Promise.try(onEvent, event).catch(() => undefined);
  };
}

/** The code of an error, as an event may carry it: that of this module's own errors. */
export function codeOf(error: unknown): { code?: AuthEventErrorCode } {
  const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError;
  return isOwn ? { code: error.code } : {};
}
