import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { printable } from "../../backends/common/printable.ts";
import { isDeno, isWindows, notebook, writeError } from "../../backends/common/runtime.ts";

type Listen = (event: "data", listener: (data: Uint8Array) => void) => void;

/** Node's `process`, by its global: Deno would read `node:process` ahead for every start. */
declare const process: {
  stdin: { on: Listen; off: Listen; pause(): void; resume(): void };
};

/**
 * Whether standard error is a terminal that a person looks at. One that shows plain lines alone
 * (`TERM=dumb`, where that may be read) counts as a log, and so do those of Node and Bun.
 */
export function isTerminal() {
  return isDeno && notebook() === undefined && Deno.stderr.isTerminal() &&
    readEnvIfGranted("TERM") !== "dumb";
}

/** Whether the caller shows the sign-in itself, so that this module shows nothing. */
export function isShownByCaller(
  { onDeviceCode, onAuthorizationUrl }: { onDeviceCode?: unknown; onAuthorizationUrl?: unknown },
) {
  return onDeviceCode !== undefined || onAuthorizationUrl !== undefined;
}

/**
 * Shows the person a text that stays, also in a log and in the output of a notebook's cell. Not by
 * `writeSync`: a terminal that takes nothing more would stop the sign-in, too.
 */
export async function showText(text: string) {
  // deno-lint-ignore no-console -- a kernel shows the log, but not its standard error
  if (notebook() !== undefined) console.error(text.trimEnd());
  else if (isDeno) await Deno.stderr.write(new TextEncoder().encode(text));
  else writeError(text);
}

/** Shows the person a line. A closed standard error costs the line, and nothing else. */
export async function showLine(text: string) {
  await showText(`${printable(text, 2000)}\n`).catch(() => {});
}

/** More than any address has. */
const LONGEST = 64 * 1024;

interface PasteOptions {
  /** Takes an address. Gives the reason where it is of no use, to ask again. */
  onAddress: (address: string) => string | undefined;
  /** Says something to the person. */
  say: (text: string) => void;
  /** The person has pressed Ctrl-C (`SIGINT`), or a signal asks the process to end. */
  onInterrupt: (signal: Deno.Signal) => void;
}

/**
 * Reads addresses that the person pastes into the terminal. Disposal stops it at once, without taking a
 * key that is meant for a later question.
 *
 * The terminal is in raw mode meanwhile: else it would cut a line (at 4,096 characters, on macOS at
 * 1,024) and show it, code and all. By Node's stream, since a read of Deno's cannot be taken back.
 */
export function readPastes({ onAddress, say, onInterrupt }: PasteOptions): Disposable {
  const { stdin } = process;
  let line = "";
  const onLine = () => {
    const pasted = line.trim();
    line = "";
    const fault = pasted && onAddress(pasted);
    if (fault) say(fault);
  };
  const onData = (data: Uint8Array) => {
    for (const character of new TextDecoder().decode(data)) {
      if (character === "\x03") return interrupt("SIGINT");
      if (character === "\r" || character === "\n") onLine();
      else if (character === "\x7f") line = "";
      else if (line.length < LONGEST) line += character;
    }
  };
  const restore = () => {
    globalThis.removeEventListener("unload", restore);
    for (const { name, listener } of ending) Deno.removeSignalListener(name, listener);
    stdin.off("data", onData);
    stdin.pause();
    setRaw(false);
  };
  // At once, so that a second Ctrl-C ends a process that is slow to end.
  const interrupt = (name: Deno.Signal) => {
    restore();
    onInterrupt(name);
  };
  const ending = ENDING.map((name) => ({ name, listener: () => interrupt(name) }));
  setRaw(true);
  stdin.on("data", onData);
  stdin.resume();
  globalThis.addEventListener("unload", restore);
  for (const { name, listener } of ending) Deno.addSignalListener(name, listener);
  return { [Symbol.dispose]: restore };
}

/** The signals that would leave the terminal raw. Windows has no `SIGTERM`. */
const ENDING: readonly Deno.Signal[] = isWindows ? ["SIGINT"] : ["SIGINT", "SIGTERM"];

/**
 * Whether the person's terminal can be read. A job in the background that tries it is suspended, which
 * `</dev/null` prevents.
 */
export function canReadTerminal() {
  return isTerminal() && Deno.stdin.isTerminal();
}

function setRaw(isRaw: boolean) {
  try {
    Deno.stdin.setRaw(isRaw);
  } catch {
    // The terminal is gone.
  }
}
