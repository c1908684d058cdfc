import { printable } from "../../backends/common/printable.ts";
import {
  formatLeft,
  type Outcome,
  outcomeLines,
  pageOf,
  plainPrompt,
  type Prompt,
  type PromptOptions,
} from "./prompt.ts";
import { fit, isTerminal, notebook, screen } from "./terminal.ts";

/** Lines of text beside the QR code, on the one screen that both have to fit on. */
const TEXT_LINES = 7;

/**
 * Asks the person to sign in, where the person is: in the output of a notebook cell, else on
 * standard error, so that a command's own output stays clean.
 */
export async function openPrompt(options: PromptOptions): Promise<Prompt> {
  const jupyter = notebook();
  if (jupyter === undefined) return await openTextPrompt(options);
  try {
    const { NotebookPrompt } = await import("./notebook_prompt.ts");
    return await NotebookPrompt.open(jupyter, options);
  } catch {
    return await openTextPrompt(options); // a kernel without display support
  }
}

/**
 * Asks on standard error: in a terminal with a QR code and a countdown, else in plain lines, as a
 * log wants them.
 */
async function openTextPrompt(options: PromptOptions): Promise<Prompt> {
  if (!isTerminal()) {
    await write(plainPrompt(options));
    return new TextPrompt(undefined);
  }
  const colors = !Deno.noColor;
  const qr = await qrBlock(pageOf(options.code), colors);
  await write(terminalPrompt(options, qr, colors));
  return new TextPrompt(new Countdown(options, colors));
}

function terminalPrompt({ code }: PromptOptions, qr: string, colors: boolean): string {
  const bold = (text: string) => colors ? `\x1b[1m${text}\x1b[22m` : text;
  return [
    "",
    `  Sign in at ${printable(code.issuer)}`,
    "",
    qr +
    `  1. Open this page      ${printable(pageOf(code), Infinity)}`,
    `  2. Confirm this code   ${bold(printable(code.userCode))}`,
    "",
    "",
  ].join("\n");
}

/** The QR code with a line below, or nothing where it does not fit. */
async function qrBlock(text: string, colors: boolean): Promise<string> {
  const { qrCode, qrLines } = await import("./qr_code.ts");
  const lines = qrLines(qrCode(text));
  const { columns, rows } = screen();
  if (columns < lines[0]!.length + 4 || rows < lines.length + TEXT_LINES) return "";
  // True white on black, not the theme's: a pale grey is hard to scan.
  const paint = (line: string) => colors ? `\x1b[38;5;231;48;5;16m${line}\x1b[0m` : line;
  return lines.map((line) => `  ${paint(line)}\n`).join("") + "\n";
}

/** The prompt that {@linkcode openTextPrompt} has written. */
class TextPrompt implements Prompt {
  readonly #countdown: Countdown | undefined;
  #isOver = false;

  constructor(countdown: Countdown | undefined) {
    this.#countdown = countdown;
  }

  async note(text: string): Promise<void> {
    const indent = this.#countdown === undefined ? "" : "  ";
    if (!this.#isOver) await this.#say(`${indent}${printable(text, 500)}\n`);
  }

  async end(outcome: Outcome): Promise<void> {
    this.#isOver = true;
    this.#countdown?.stop();
    const lines = outcomeLines(outcome);
    if (this.#countdown !== undefined) {
      await this.#say(`${lines.map((line) => `  ${line}\n`).join("")}\n`);
    } else if (outcome.kind === "signed_in") {
      await this.#say(`${lines.join(" ")}\n`); // in a log an error tells of itself
    }
  }

  async #say(text: string): Promise<void> {
    try {
      await write(`${this.#countdown?.erase() ?? ""}${text}`);
    } catch {
      // A closed standard error costs the line, not the sign-in.
    }
  }
}

/**
 * The last line of a terminal's prompt. Written over from its start without escape codes, and the
 * cursor stays visible: Ctrl-C ends the process as ever, with nothing to be tidied by a handler.
 */
class Countdown {
  readonly #options: PromptOptions;
  readonly #colors: boolean;
  readonly #timer: ReturnType<typeof setInterval>;
  #width = 0;

  constructor(options: PromptOptions, colors: boolean) {
    this.#options = options;
    this.#colors = colors;
    this.#timer = setInterval(() => this.#draw(), 1000);
    this.#draw();
  }

  /** What takes the line away. */
  erase(): string {
    return `\r${" ".repeat(this.#width)}\r`;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #draw(): void {
    const { code, now } = this.#options;
    const line = `  Waiting for approval, expires in ${
      formatLeft(code.expiresAt.getTime() - now())
    }`;
    const shown = fit(line);
    const text = `\r${this.#colors ? `\x1b[2m${shown}\x1b[22m` : shown}`;
    const rest = Math.max(0, this.#width - shown.length);
    this.#width = shown.length;
    write(`${text}${" ".repeat(rest)}${"\b".repeat(rest)}`).catch(() => undefined);
  }
}

async function write(text: string): Promise<void> {
  if (notebook() !== undefined) {
    // deno-lint-ignore no-console -- a kernel shows what is logged, and its standard error to nobody
    console.error(text.trimEnd());
    return;
  }
  await Deno.stderr.write(new TextEncoder().encode(text));
}
