import { outcomeHtml, promptHtml } from "./notebook_html.ts";
import type { Session } from "../session.ts";
import {
  type Outcome,
  outcomeLines,
  plainPrompt,
  type Prompt,
  type PromptOptions,
  signedInAs,
  type SignInPage,
} from "./prompt.ts";
import { qrCode, qrSvg } from "./qr_code.ts";
import type { Jupyter } from "./terminal.ts";

/**
 * Shows the page in one output of the cell, which loses its link at the end. Nothing is sent in between
 * but notes: each new display takes away the selection, the focus and a typed address.
 * Fails where the kernel cannot display it.
 */
export async function openNotebookPrompt(
  jupyter: Jupyter,
  { page, now }: PromptOptions,
): Promise<Prompt> {
  const id = `vm-auth-${crypto.randomUUID()}`;
  const view = { id, page, qr: await qrOf(page) };
  const notes: string[] = [];
  let queue: Promise<void> = Promise.resolve();

  const send = (type: string, data: Record<string, string>) =>
    jupyter.broadcast(type, { data, metadata: {}, transient: { display_id: id } });
  /** Displays in the order of the calls. A display that fails costs the display, not the sign-in. */
  const update = (data: Record<string, string>) =>
    queue = queue.then(() => send("update_display_data", data)).catch(() => {});
  const waiting = () => ({
    "text/plain": plainPrompt(page, notes),
    "text/html": promptHtml(view, now(), notes),
  });

  await send("display_data", waiting());
  let isOver = false;
  return {
    async note(text) {
      if (isOver) return;
      notes.push(text);
      await update(waiting());
    },
    async end(outcome) {
      isOver = true;
      await update(outcomeData(outcome, page.issuer));
    },
  };
}

/** Says in the output of a cell who is signed in, where the kernel can display it. */
export async function showSignedIn(jupyter: Jupyter, session: Session): Promise<void> {
  const outcome = signedInAs(await session.status());
  const data = outcomeData(outcome, session.issuer ?? "");
  try {
    await jupyter.broadcast("display_data", { data, metadata: {}, transient: {} });
  } catch {
    // It costs the display, not the sign-in.
  }
}

function outcomeData(outcome: Outcome, issuer: string): Record<string, string> {
  return {
    "text/plain": outcomeLines(outcome).join(" "),
    "text/html": outcomeHtml(outcome, issuer),
  };
}

/** The QR code of a page that a phone can be used for: it cannot bring an answer back to this computer. */
async function qrOf({ url, answer }: SignInPage): Promise<string | undefined> {
  return answer ? undefined : qrSvg(await qrCode(url), "QR code of the page to open");
}
