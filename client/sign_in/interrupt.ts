import { notebook } from "../../backends/common/runtime.ts";

/** The reason of a sign-in that the person, or a signal, has ended. The command line exits by the signal. */
export function interruption(advice: string, signal: Deno.Signal = "SIGINT"): DOMException {
  const reason = `Cannot sign in: the sign-in was interrupted. ${advice}`;
  const error = new DOMException(reason, "AbortError");
  return Object.assign(error, { signal, stack: `${error}` }); // without frames: it is nobody's fault
}

/**
 * Lets an interrupt of the notebook's kernel end the sign-in. It would end Deno's kernel, and with it
 * every variable of the notebook. Outside a notebook nothing is watched, and Ctrl-C ends the process.
 */
export function watchInterrupt(signIn: AbortController): Disposable | undefined {
  if (notebook() === undefined) return undefined;
  const onInterrupt = () => signIn.abort(interruption("Run the cell again."));
  Deno.addSignalListener("SIGINT", onInterrupt);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt) };
}
