import type { AuthEvent } from "../auth_event.ts";
import { terminalNotice } from "../prompt/terminal.ts";

/** A line in the person's terminal for as long as a command takes; nothing in a log. */
export class Progress implements Disposable {
  #notice: ReturnType<typeof terminalNotice> | undefined;

  /** Shows a text in the place of the last one. */
  tell(text: string): void {
    this[Symbol.dispose]();
    this.#notice = terminalNotice(text);
  }

  /** Tells of the wait for another process, where the session itself is silent. */
  readonly onEvent = ({ type, issuer }: AuthEvent): void => {
    if (type === "lock_waiting") {
      this.tell(`Another process is refreshing the sign-in at ${issuer}; waiting for it …`);
    }
    if (type === "lock_waited") this[Symbol.dispose]();
  };

  /** Takes the line away. */
  [Symbol.dispose](): void {
    this.#notice?.erase();
    this.#notice = undefined;
  }
}
