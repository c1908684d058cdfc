import { outcomeHtml, promptHtml, type PromptView } from "./notebook_html.ts";
import {
  type Outcome,
  outcomeLines,
  plainPrompt,
  type Prompt,
  type PromptOptions,
} from "./prompt.ts";
import { qrCode, qrSvg } from "./qr_code.ts";
import type { Jupyter } from "./terminal.ts";

/**
 * Time between two displays. A new display takes away the selection and the focus, so the page itself
 * counts the seconds where it may run a script.
 */
const REFRESH_MS = 10_000;

/** One output of the cell. It is updated in place, and its link goes away at the end. */
export class NotebookPrompt implements Prompt {
  readonly #jupyter: Jupyter;
  readonly #options: PromptOptions;
  readonly #view: PromptView;
  readonly #notes: string[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #queue: Promise<void> = Promise.resolve();

  private constructor(jupyter: Jupyter, options: PromptOptions) {
    this.#jupyter = jupyter;
    this.#options = options;
    const { page } = options;
    this.#view = {
      id: `vm-auth-${crypto.randomUUID()}`,
      page,
      qr: qrSvg(qrCode(page.url), "QR code of the page to open"),
    };
  }

  /** Shows the page; fails where the kernel cannot. */
  static async open(jupyter: Jupyter, options: PromptOptions): Promise<NotebookPrompt> {
    const prompt = new NotebookPrompt(jupyter, options);
    await prompt.#send("display_data", prompt.#waiting());
    prompt.#timer = setInterval(() => void prompt.#update(prompt.#waiting()), REFRESH_MS);
    return prompt;
  }

  async note(text: string): Promise<void> {
    if (this.#timer === undefined) return; // it is over
    this.#notes.push(text);
    await this.#update(this.#waiting());
  }

  async end(outcome: Outcome): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const { issuer } = this.#options.page;
    await this.#update({
      "text/plain": outcomeLines(outcome).join(" "),
      "text/html": outcomeHtml(outcome, issuer),
    });
  }

  #waiting(): Record<string, string> {
    const { page, now } = this.#options;
    return {
      "text/plain": plainPrompt({ page, now }, this.#notes),
      "text/html": promptHtml(this.#view, page.expiresAt.getTime() - now(), this.#notes),
    };
  }

  /** Displays in the order of the calls. A display that fails costs the display, not the sign-in. */
  #update(data: Record<string, string>): Promise<void> {
    this.#queue = this.#queue.then(() => this.#send("update_display_data", data)).catch(() => {});
    return this.#queue;
  }

  async #send(type: string, data: Record<string, string>): Promise<void> {
    const transient = { display_id: this.#view.id };
    await this.#jupyter.broadcast(type, { data, metadata: {}, transient });
  }
}
