import { isDeno, notebook, writeError } from "../../backends/common/platform.ts";
import { printable } from "../../backends/common/printable.ts";
import type { Session } from "../session.ts";
import type { SessionOptions } from "../session_options.ts";
import {
  answerLines,
  formatLeft,
  outcomeLines,
  plainPrompt,
  type Prompt,
  type PromptOptions,
} from "./prompt.ts";
import { qrCode, qrLines } from "./qr_code.ts";
import { openNotebookPrompt, showSignedIn } from "./notebook_prompt.ts";
import { fit, isShownByCaller, isTerminal, screen } from "./terminal.ts";

/** Lines of text beside the QR code. Both have to fit on one screen. */
const TEXT_LINES = 7;

/**
 * Asks the person to sign in: in the output of a notebook cell, else on standard error, so that a
 * command's own output stays clean.
 */
export async function openPrompt(options: PromptOptions): Promise<Prompt> {
  const jupyter = notebook();
  if (jupyter === undefined) return await openTextPrompt(options);
  try {
    return await openNotebookPrompt(jupyter, options);
  } catch {
    return await openTextPrompt(options); // a kernel without display support
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
  await showSignedIn(jupyter, session);
}

/** Asks on standard error: in a terminal with a QR code and a countdown, in a log in plain lines. */
async function openTextPrompt(options: PromptOptions): Promise<Prompt> {
  if (!isTerminal()) {
    await write(plainPrompt(options.page));
    return textPrompt();
  }
  const colors = !Deno.noColor;
  // A phone cannot bring the answer back to this computer.
  const qr = options.page.answer ? "" : await qrBlock(options.page.url, colors);
  await write(terminalPrompt(options, qr, colors));
  return textPrompt(startCountdown(options, colors));
}

function terminalPrompt({ page }: PromptOptions, qr: string, colors: boolean): string {
  const { issuer, url, code, answer } = page;
  const bold = (text: string) => colors ? `\x1b[1m${text}\x1b[22m` : text;
  return [
    "",
    `  Sign in at ${printable(issuer)}`,
    "",
    `${qr}  1. Open this page      ${printable(url, Infinity)}`,
    ...(code ? [`  2. Confirm this code   ${bold(printable(code.text))}`] : []),
    ...(answer ? answerLines(answer) : []).map((line) => `  ${line}`),
    "",
    "",
  ].join("\n");
}

/** The QR code with a line below, or nothing where it does not fit. */
async function qrBlock(text: string, colors: boolean): Promise<string> {
  const lines = qrLines(await qrCode(text));
  const { columns, rows } = screen();
  if (columns < lines[0]!.length + 4 || rows < lines.length + TEXT_LINES) return "";
  // True white on black instead of the theme's colours: a pale grey is hard to scan.
  const paint = (line: string) => colors ? `\x1b[38;5;231;48;5;16m${line}\x1b[0m` : line;
  return lines.map((line) => `  ${paint(line)}\n`).join("") + "\n";
}

function textPrompt(countdown?: Countdown): Prompt {
  let isOver = false;
  const say = async (text: string) => {
    try {
      await write(`${countdown?.erase() ?? ""}${text}`);
    } catch {
      // A closed standard error costs the line, not the sign-in.
    }
  };
  return {
    async note(text) {
      const indent = countdown === undefined ? "" : "  ";
      if (!isOver) await say(`${indent}${printable(text, 500)}\n`);
    },
    async end(outcome) {
      isOver = true;
      countdown?.stop();
      const lines = outcomeLines(outcome);
      if (countdown !== undefined) {
        await say(`${lines.map((line) => `  ${line}\n`).join("")}\n`);
      } else if (outcome.kind === "signed_in") {
        await say(`${lines.join(" ")}\n`); // in a log the error itself is enough
      }
    },
  };
}

interface Countdown {
  /** The characters that clear the line. */
  erase(): string;
  stop(): void;
}

/**
 * The last line of a terminal's prompt. It is overwritten from its start without escape codes, and the
 * cursor stays visible, so that Ctrl-C can end the process without a handler that tidies up.
 */
function startCountdown({ page, now }: PromptOptions, colors: boolean): Countdown {
  let width = 0;
  const draw = () => {
    const left = formatLeft(page.expiresAt.getTime() - now());
    const shown = fit(`  Waiting for approval, expires in ${left}`);
    const text = `\r${colors ? `\x1b[2m${shown}\x1b[22m` : shown}`;
    const rest = Math.max(0, width - shown.length);
    width = shown.length;
    write(`${text}${" ".repeat(rest)}${"\b".repeat(rest)}`).catch(() => undefined);
  };
  draw();
  const timer = setInterval(draw, 1000);
  return { erase: () => `\r${" ".repeat(width)}\r`, stop: () => clearInterval(timer) };
}

/** Not by `writeSync`: a terminal that takes nothing more would stop the sign-in, too. */
async function write(text: string): Promise<void> {
  // deno-lint-ignore no-console -- a kernel shows the log, but not its standard error
  if (notebook() !== undefined) console.error(text.trimEnd());
  else if (isDeno) await Deno.stderr.write(new TextEncoder().encode(text));
  else writeError(text);
}
