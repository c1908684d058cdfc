import type { Session, SessionStatus } from "../session.ts";
import { escapeHtml } from "./escape_html.ts";
import { statusHtml } from "./prompt_html.ts";
import { formatTime } from "./prompt_text.ts";

/**
 * A session as the last line of a notebook's cell shows it: who, where and until when. Loaded only
 * there.
 *
 * @param text The same as text, for where no HTML is shown.
 */
export function sessionDisplay(
  session: Session,
  status: SessionStatus,
  text: string,
): Record<string, string> {
  return { "text/plain": text, "text/html": sessionHtml(session, status) };
}

function sessionHtml({ issuer, apiHost, model }: Session, status: SessionStatus): string {
  const { kind, signedIn, expiresAt, refreshable, backend } = status;
  const who = status.email ?? status.name ?? status.subject;
  const strong = who === undefined ? "" : ` as <strong>${escapeHtml(who)}</strong>`;
  const title = kind === "api_key" ? "With an API key" : `Signed in${strong}`;
  const until = expiresAt === undefined ? "" : escapeHtml(formatTime(expiresAt.getTime()));
  const details: [name: string, value: string][] = [
    ["at", escapeHtml(issuer ?? "")],
    ["API", escapeHtml(apiHost ?? "")],
    ["model", escapeHtml(model ?? "")],
    ["token valid until", until && `${until}${refreshable ? ", then refreshed" : ""}`],
    ["stored in", escapeHtml(backend?.location ?? backend?.name ?? "", 500)],
  ];
  return statusHtml(
    signedIn,
    signedIn ? title : "Not signed in",
    details.filter(([, value]) => value !== "").map(([name, value]) => `${name} ${value}`),
  );
}
