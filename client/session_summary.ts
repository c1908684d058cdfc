import type { Session, SessionStatus } from "./session.ts";

/** What a session shows of itself when it is printed: nothing secret, and nothing that is empty. */
export function sessionSummary(
  { issuer, apiHost, model }: Session,
  { kind, signedIn, email, name, subject, expiresAt, backend }: SessionStatus,
): Record<string, unknown> {
  const who = email ?? name ?? subject ?? signedIn;
  const fields = {
    ...(kind === "api_key" ? { apiKey: signedIn } : { signedIn: signedIn && who }),
    issuer,
    apiHost,
    model,
    backend: backend && [backend.name, backend.location].filter(Boolean).join(": "),
    validUntil: expiresAt,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
