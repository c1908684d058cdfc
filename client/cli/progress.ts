import type { AuthEvent } from "../auth_event.ts";
import { terminalNotice } from "../prompt/terminal.ts";

/** A line in the person's terminal while a command runs; nothing in a log. */
export class Progress implements Disposable {
  #notice: ReturnType<typeof terminalNotice> | undefined;

  show(text: string): void {
    this[Symbol.dispose]();
    this.#notice = terminalNotice(text);
  }

  /** Reports the wait for another process, which a session that asks nobody does not report. */
  readonly onEvent = ({ type, issuer }: AuthEvent): void => {
    if (type === "lock_waiting") {
      this.show(`Another process is refreshing the sign-in at ${issuer}; waiting for it …`);
    }
    if (type === "lock_waited") this[Symbol.dispose]();
  };

  [Symbol.dispose](): void {
    this.#notice?.erase();
    this.#notice = undefined;
  }
}
