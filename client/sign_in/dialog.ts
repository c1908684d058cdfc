import { openPrompt } from "../prompt/open_prompt.ts";
import type { Outcome, Prompt, SignInPage } from "../prompt/prompt.ts";
import { notebook } from "../prompt/terminal.ts";
import { type AskOptions, failureOf, isShownByCaller } from "./flow.ts";
import { openBrowser } from "./open_browser.ts";

/** Options of {@linkcode SignInDialog}. */
export interface SignInDialogOptions {
  ask: AskOptions;
  signal: AbortSignal;
  /** The clock, in milliseconds since the epoch. */
  now: () => number;
}

/** One sign-in as the person sees it in the built-in prompt: from the page to the outcome. */
export class SignInDialog implements Disposable {
  /** Aborts with the given signal, or when the person interrupts the notebook's cell. */
  readonly signal: AbortSignal;
  readonly #options: SignInDialogOptions;
  readonly #interrupt: Disposable | undefined;
  #opening: Promise<Prompt> | undefined;

  constructor(options: SignInDialogOptions) {
    this.#options = options;
    const interrupt = isShownByCaller(options.ask) ? undefined : watchInterrupt();
    this.#interrupt = interrupt;
    this.signal = interrupt ? AbortSignal.any([options.signal, interrupt.signal]) : options.signal;
  }

  /** Shows the page. */
  async show(page: SignInPage): Promise<void> {
    const { ask, now } = this.#options;
    this.#opening = openPrompt({ page, now });
    const prompt = await this.#opening;
    if (!ask.openBrowser) return;
    const reason = await openBrowser(page.url);
    if (reason !== undefined) await prompt.note(`The browser was not opened: ${reason}.`);
  }

  /** Shows the outcome in the place of the page. */
  async end(outcome: Outcome): Promise<void> {
    const prompt = await this.#opening?.catch(() => undefined); // a failed opening has no end
    await prompt?.end(outcome);
  }

  /** Shows the outcome of an unsuccessful sign-in. */
  async fail(error: unknown): Promise<void> {
    const failure = failureOf(error, this.signal);
    await this.end({ kind: failure === "error" ? "failed" : failure });
  }

  [Symbol.dispose](): void {
    this.#interrupt?.[Symbol.dispose]();
  }
}

/**
 * Watches for an interrupt of the notebook's kernel, which would end Deno's kernel and with it every
 * variable of the notebook. Outside a notebook nothing is watched, and Ctrl-C ends the process.
 */
function watchInterrupt(): { signal: AbortSignal } & Disposable | undefined {
  if (notebook() === undefined) return undefined;
  const controller = new AbortController();
  const onInterrupt = () => controller.abort(interrupted());
  Deno.addSignalListener("SIGINT", onInterrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt),
  };
}

function interrupted(): DOMException {
  return new DOMException("Cannot sign in: it was interrupted. Run the cell again.", "AbortError");
}
