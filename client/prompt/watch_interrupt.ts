import { notebook } from "./notebook.ts";

/**
 * Watches for an interrupt of the notebook's kernel: Deno's kernel would end by it, and every
 * variable of the notebook with it. Elsewhere Ctrl-C ends the process as ever, and nothing is
 * watched.
 */
export function watchInterrupt(): { signal?: AbortSignal } & Disposable {
  if (notebook() === undefined) return { [Symbol.dispose]() {} };
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
