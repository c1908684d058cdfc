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
  signedInAs,
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
export async function showStored(session: Session, options: SessionOptions): Promise<void> {
  const jupyter = notebook();
  if (jupyter === undefined || isShownByCaller(options)) return;
  const data = outcomeData(signedInAs(await session.status()), session.issuer ?? "");
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
  const qr = page.answer ? "" : await qrCode(page.url).then(qrSvg).catch(() => "");
  const notes: string[] = [];
  let queue: Promise<void> = Promise.resolve();

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

function outcomeData(outcome: Outcome, issuer: string): Record<string, string> {
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

/** The QR code with a line below, or nothing where it does not fit on the screen. */
async function qrBlock(text: string) {
  try {
    const lines = qrLines(await qrCode(text));
    const { columns, rows } = Deno.consoleSize();
    if (columns < lines[0]!.length + 4 || rows < lines.length + TEXT_LINES) return "";
    // True white on black instead of the theme's colours: a pale grey is hard to scan.
    const [paint, reset] = Deno.noColor ? ["", ""] : ["\x1b[38;5;231;48;5;16m", "\x1b[0m"];
    return lines.map((line) => `  ${paint}${line}${reset}\n`).join("") + "\n";
  } catch {
    return ""; // the address is too long for a code, or the size is not known
  }
}

/** A QR code, row by row: `true` is dark. It has no quiet zone, which the drawing adds. */
type QrCode = readonly (readonly boolean[])[];

/** The code of a text. The package for it is loaded only then. */
async function qrCode(text: string): Promise<QrCode> {
  const { encode } = await import("uqr");
  return encode(text, { ecc: "L", border: 0 }).data;
}

/**
 * An SVG of dark squares on white in every theme, as scanners need it. The quiet zone has the four
 * modules of ISO/IEC 18004.
 */
function qrSvg(code: QrCode) {
  const quiet = 4;
  const size = code.length + 2 * quiet;
  let path = "";
  for (const [y, row] of code.entries()) {
    for (const [x, isDark] of row.entries()) {
      if (isDark) path += `M${x + quiet} ${y + quiet}h1v1h-1z`;
    }
  }
  return `<svg role="img" aria-label="QR code of the page to open" ` +
    `viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${size}v${size}H0z"/>` +
    `<path fill="#000" d="${path}"/></svg>`;
}

/**
 * The lines of the code in half blocks, two rows in each. The light modules are drawn, which is right
 * on a dark terminal also without colours. Today's scanners read the reverse, too.
 */
function qrLines(code: QrCode) {
  const quiet = 2; // enough for scanners on a screen, since the terminal's own colour surrounds it
  const size = code.length + 2 * quiet;
  const isLight = (x: number, y: number) => !code[y - quiet]?.[x - quiet];
  const lines: string[] = [];
  for (let y = 0; y < size; y += 2) {
    let line = "";
    for (let x = 0; x < size; x++) {
      const lights = Number(isLight(x, y)) + 2 * Number(isLight(x, y + 1));
      line += " ▀▄█"[lights];
    }
    lines.push(line);
  }
  return lines;
}
