import type { DeviceCode } from "../init_options.ts";
import { escapeHtml } from "./escape_html.ts";
import type { Outcome } from "./prompt.ts";
import { formatLeft, formatTime, NO_REFRESH, outcomeLines, pageOf } from "./prompt_text.ts";
import { SCRIPT } from "./prompt_script.ts";
import { STYLE } from "./prompt_style.ts";

/** What a notebook's prompt shows that does not change while it waits. */
export interface PromptView {
  /** The id of the display, and of the element in it. */
  id: string;
  code: DeviceCode;
  /** The QR code of the page, as SVG. */
  qr: string;
}

/**
 * The prompt as HTML. Complete without scripts: those add a copy button and count the seconds. All
 * that comes from the provider is escaped, and none of it is in the script or the style.
 */
export function promptHtml(
  { id, code, qr }: PromptView,
  leftMs: number,
  notes: readonly string[],
): string {
  const page = escapeHtml(pageOf(code), Infinity);
  const isFilledIn = code.verificationUriComplete !== undefined;
  const notice = notes.map((note) => `<p class="vm-auth-note">${escapeHtml(note, 500)}</p>`);
  return `${STYLE}<div class="vm-auth vm-auth-card" id="${id}"><div class="vm-auth-main">` +
    `<p class="vm-auth-title">Sign in at ${escapeHtml(code.issuer)}</p>` +
    `<ol><li>Open <a href="${page}" target="_blank" rel="noopener noreferrer">` +
    `${escapeHtml(code.verificationUri, 100)}</a></li>` +
    `<li>${isFilledIn ? "Check that the page shows this code" : "Enter this code"}` +
    `<div class="vm-auth-row"><code>${escapeHtml(code.userCode)}</code>` +
    `<button type="button" hidden>Copy</button></div></li></ol>${notice.join("")}` +
    `<p class="vm-auth-wait">Waiting for approval, expires in <span class="vm-auth-left" ` +
    `data-seconds="${Math.max(0, Math.ceil(leftMs / 1000))}">${formatLeft(leftMs)}</span></p>` +
    `</div><a class="vm-auth-qr" href="${page}" target="_blank" rel="noopener noreferrer" ` +
    `title="Scan with a phone, or click">${qr}</a></div><script>${SCRIPT(id)}</script>`;
}

/** The end of a sign-in as HTML. Without a link: the code is spent. */
export function outcomeHtml(outcome: Outcome, issuer: string): string {
  const at = `at ${escapeHtml(issuer)}`;
  if (outcome.kind !== "signed_in") return statusHtml(false, outcomeLines(outcome).join(" "), [at]);
  const { who, expiresAt, place, isRefreshable } = outcome;
  const name = who === undefined ? "" : ` as <strong>${escapeHtml(who)}</strong>`;
  return statusHtml(true, `Signed in${name}`, [
    at,
    `token valid until ${escapeHtml(formatTime(expiresAt))}`,
    `stored in ${escapeHtml(place, 500)}`,
    ...(isRefreshable ? [] : [NO_REFRESH]),
  ]);
}

/**
 * A state in a line, with details below. It stays in the notebook, and goes into what is exported
 * from it: so it takes colour and font from where it is, and has no style sheet, which a Markdown
 * page would show as text.
 *
 * @param title HTML.
 * @param details HTML.
 */
export function statusHtml(isGood: boolean, title: string, details: readonly string[]): string {
  const dim = `style="margin:0;font-size:13px;overflow-wrap:anywhere"`;
  return `<div class="vm-auth" style="display:flex;gap:10px;max-width:560px;margin:4px 0">` +
    `<span style="font-weight:700">${isGood ? "✓" : "✕"}</span>` +
    `<div><p style="margin:0;overflow-wrap:anywhere">${title}</p>` +
    `${details.map((line) => `<p ${dim}>${line}</p>`).join("")}</div></div>`;
}
