import { ValidMindAuthError } from "./errors.ts";
import type { ClientInfo, Session } from "./session.ts";
import type { SignedInSession } from "./signed_in_session.ts";

let activeSession: SignedInSession | undefined;

/** Makes a session the process's active one; `undefined` leaves none. */
export function setActiveSession(session: SignedInSession | undefined): void {
  activeSession = session;
}

/** The active session, or `undefined`. */
export function peekActiveSession(): SignedInSession | undefined {
  return activeSession;
}

/**
 * The session of the last `init()` in this process: for code that is called by a script which has
 * signed in.
 *
 * Needs no permission.
 *
 * @returns The session.
 * @throws {ValidMindAuthError} `no_active_session` before `init()` and after
 * `clearOidcCredentials()`.
 *
 * @example
 * ```ts
 * import { getSession, init } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const session = await init({ model: "cl123" });
 * assertEquals(getSession(), session);
 * ```
 */
export function getSession(): Session {
  return active("give the session");
}

/**
 * Pings the API again and renews what the active session knows of the model.
 *
 * Needs `--allow-net` for the API's host, and for a refresh what `init` needs.
 *
 * @returns What the API said.
 * @throws {ValidMindAuthError} `no_active_session`, `api_unreachable`, and as
 * `Session.accessToken`.
 * @throws {ApiError} When the API refuses.
 *
 * @example
 * ```ts
 * import { init, reload } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const info = await reload();
 * assertEquals(info.documentType, "model_documentation");
 * ```
 */
export async function reload(): Promise<ClientInfo> {
  const session = active("reload");
  const { ping } = await import("./ping.ts");
  return await ping(session);
}

function active(action: string): SignedInSession {
  if (activeSession !== undefined) return activeSession;
  throw new ValidMindAuthError(
    "no_active_session",
    `Cannot ${action}: nobody is signed in here. Call init() first.`,
  );
}
