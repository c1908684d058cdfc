import { assertNotMatch } from "@std/assert";
import { GAP } from "./own_streams.ts";

/** A display that a kernel was sent. */
export interface Display {
  type: string;
  data: Record<string, string>;
  /** What updates of the display go by. */
  id: string | undefined;
}

/** Lets this process look like a notebook's kernel, and takes down what is displayed. */
export class FakeKernel implements Disposable {
  readonly displays: Display[] = [];
  /** Called before a display is taken: an error, or a rejection, is the kernel's. */
  onDisplay: (() => void | Promise<never>) | undefined;
  readonly #deno = Object.getOwnPropertyDescriptor(globalThis, "Deno")!;

  constructor() {
    const broadcast = (type: string, content: Record<string, unknown>) => {
      const refusal = this.onDisplay?.();
      if (refusal instanceof Promise) return refusal;
      const { data, transient } = content as {
        data: Record<string, string>;
        transient: { display_id?: string };
      };
      for (const text of Object.values(data)) assertNotMatch(text, GAP);
      this.displays.push({ type, data, id: transient.display_id });
      // As the kernel of Deno 2.9, whose type says otherwise.
      return undefined;
    };
    const value = Object.create(Deno, { jupyter: { value: { broadcast } } });
    Object.defineProperty(globalThis, "Deno", { ...this.#deno, value });
  }

  [Symbol.dispose](): void {
    Object.defineProperty(globalThis, "Deno", this.#deno);
  }
}
