import type { Clock } from "../../backends/common/promises.ts";
import { notebook } from "../../backends/common/runtime.ts";
import type { Session } from "../session.ts";
import type { SessionOptions } from "../session_options.ts";
import {
  type Outcome,
  outcomeHtml,
  outcomeLines,
  plainPrompt,
  type Prompt,
  promptHtml,
  type SignInPage,
} from "./prompt.ts";
import { isShownByCaller, isTerminal, showLine, showText } from "./terminal.ts";

/** Lines of text below the QR code. Both have to fit on one screen. */
const TEXT_LINES = 7;

/**
 * Asks the person to sign in: in the output of a notebook cell, else on standard error, so that a
 * command's own output stays clean.
 */
export async function openPrompt(page: SignInPage, now: Clock): Promise<Prompt> {
  const jupyter = notebook();
  if (jupyter === undefined) return await openTextPrompt(page);
  try {
    return await openNotebookPrompt(jupyter, page, now);
  } catch {
    return await openTextPrompt(page); // a kernel without display support
  }
}

/**
 * Says in the output of a cell who is signed in, where nobody was asked: the cell was run again, or its
 * page was reloaded during the wait. Elsewhere nothing, nor where the program itself shows codes and
 * links.
 */
export async function showStored(session: Session, options: SessionOptions) {
  const jupyter = notebook();
  if (jupyter === undefined || isShownByCaller(options)) return;
  const outcome = { ...await session.status(), kind: "signed_in" } as const;
  const data = outcomeData(outcome, session.issuer ?? "");
  try {
    await jupyter.broadcast("display_data", { data, metadata: {}, transient: {} });
  } catch {
    // It costs the display, not the sign-in.
  }
}

/**
 * Shows the page in one output of the cell, which loses its link at the end. Nothing is sent in between
 * but notes: each new display takes away the selection, the focus and a typed address.
 * Fails where the kernel cannot display it.
 */
async function openNotebookPrompt(
  jupyter: typeof Deno.jupyter,
  page: SignInPage,
  now: Clock,
): Promise<Prompt> {
  const id = `vm-auth-${crypto.randomUUID()}`;
  // A phone cannot bring the answer back to this computer. An address may be too long for a code.
  const qr = page.answer ? "" : await qrPicture(page.url).catch(() => "");
  const notes: string[] = [];
  let queue = Promise.resolve();

  const send = (type: string, data: Record<string, string>) =>
    jupyter.broadcast(type, { data, metadata: {}, transient: { display_id: id } });
  /** Displays in the order of the calls. A display that fails costs the display, not the sign-in. */
  const update = (data: Record<string, string>) =>
    queue = queue.then(() => send("update_display_data", data)).catch(() => {});
  const waiting = () => ({
    "text/plain": plainPrompt(page, notes),
    "text/html": promptHtml({ id, page, qr }, now(), notes),
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

function outcomeData(outcome: Outcome, issuer: string) {
  return {
    "text/plain": outcomeLines(outcome).join(" "),
    "text/html": outcomeHtml(outcome, issuer),
  };
}

/** Asks on standard error in plain lines, which a log may keep; in a terminal with a QR code. */
async function openTextPrompt(page: SignInPage): Promise<Prompt> {
  const qr = page.answer || !isTerminal() ? "" : await qrBlock(page.url);
  await showText(qr + plainPrompt(page));
  let isOver = false;
  return {
    async note(text) {
      if (!isOver) await showLine(text);
    },
    async end(outcome) {
      isOver = true;
      await showLine(outcomeLines(outcome).join(" "));
    },
  };
}

/** The QR code as SVG. The quiet zone has the four modules of ISO/IEC 18004. */
async function qrPicture(text: string) {
  const { renderSVG } = await loadQr();
  return renderSVG(text, { border: 4, pixelSize: 1 });
}

/**
 * The QR code in half blocks with a line below, or nothing where it does not fit on the screen. Its light
 * modules are drawn, which is right on a dark terminal also without colours. Today's scanners read the
 * reverse, too.
 */
async function qrBlock(text: string) {
  try {
    const { renderUnicodeCompact } = await loadQr();
    // A narrow quiet zone is enough, since the terminal's own colour surrounds it.
    const lines = renderUnicodeCompact(text, { border: 2 }).split("\n");
    const { columns, rows } = Deno.consoleSize();
    if (columns < lines[0]!.length + 4 || rows < lines.length + TEXT_LINES) return "";
    // True white on black instead of the theme's colours: a pale grey is hard to scan.
    const [paint, reset] = Deno.noColor ? ["", ""] : ["\x1b[38;5;231;48;5;16m", "\x1b[0m"];
    return lines.map((line) => `  ${paint}${line}${reset}\n`).join("") + "\n";
  } catch {
    return ""; // the address is too long for a code, or the size is not known
  }
}

/** Loaded only where a code is shown. */
const loadQr = () => import("uqr");
