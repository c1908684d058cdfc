import { outcomeHtml, promptHtml } from "./notebook_html.ts";
import {
  outcomeLines,
  plainPrompt,
  type Prompt,
  type PromptOptions,
  type SignInPage,
} from "./prompt.ts";
import { qrCode, qrSvg } from "./qr_code.ts";
import type { Jupyter } from "./terminal.ts";

/**
 * Time between two displays. A new display takes away the selection and the focus, so the page itself
 * counts the seconds where it may run a script.
 */
const REFRESH_MS = 10_000;

/**
 * Shows the page in one output of the cell, which is updated in place and loses its link at the end.
 * Fails where the kernel cannot display it.
 */
export async function openNotebookPrompt(
  jupyter: Jupyter,
  { page, now }: PromptOptions,
): Promise<Prompt> {
  const id = `vm-auth-${crypto.randomUUID()}`;
  const view = { id, page, qr: qrOf(page) };
  const notes: string[] = [];
  let queue: Promise<void> = Promise.resolve();

  const send = (type: string, data: Record<string, string>) =>
    jupyter.broadcast(type, { data, metadata: {}, transient: { display_id: id } });
  /** Displays in the order of the calls. A display that fails costs the display, not the sign-in. */
  const update = (data: Record<string, string>) =>
    queue = queue.then(() => send("update_display_data", data)).catch(() => {});
  const waiting = () => ({
    "text/plain": plainPrompt({ page, now }, notes),
    "text/html": promptHtml(view, page.expiresAt.getTime() - now(), notes),
  });

  await send("display_data", waiting());
  let isOver = false;
  // Not where an address is typed: a new display would take it away.
  const timer = page.answer?.form
    ? undefined
    : setInterval(() => void update(waiting()), REFRESH_MS);
  return {
    async note(text) {
      if (isOver) return;
      notes.push(text);
      await update(waiting());
    },
    async end(outcome) {
      isOver = true;
      clearInterval(timer);
      await update({
        "text/plain": outcomeLines(outcome).join(" "),
        "text/html": outcomeHtml(outcome, page.issuer),
      });
    },
  };
}

/** The QR code of a page that a phone can be used for: it cannot bring an answer back to this computer. */
function qrOf({ url, answer }: SignInPage): string | undefined {
  return answer ? undefined : qrSvg(qrCode(url), "QR code of the page to open");
}
