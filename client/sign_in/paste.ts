import process from "node:process";

/** More than any address has. */
const LONGEST = 64 * 1024;

/** Options of {@linkcode readPastes}. */
export interface PasteOptions {
  /** Takes an address. Gives the reason where it is of no use, to ask again. */
  onAddress: (address: string) => string | undefined;
  /** Says something to the person. */
  say: (text: string) => void;
  /** The person has pressed Ctrl-C. */
  onInterrupt: () => void;
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
  const onData = (data: Uint8Array) => {
    for (const character of new TextDecoder().decode(data)) {
      if (character === "\x03") return onInterrupt();
      if (character !== "\r" && character !== "\n") {
        line = character === "\x7f" ? "" : line.length < LONGEST ? line + character : line;
        continue;
      }
      const pasted = line.trim();
      line = "";
      const fault = pasted === "" ? undefined : onAddress(pasted);
      if (fault !== undefined) say(fault);
    }
  };
  const restore = () => {
    stdin.off("data", onData);
    stdin.pause();
    setRaw(false);
  };
  setRaw(true);
  stdin.on("data", onData);
  stdin.resume();
  globalThis.addEventListener("unload", restore);
  return {
    [Symbol.dispose]() {
      globalThis.removeEventListener("unload", restore);
      restore();
    },
  };
}

function setRaw(isRaw: boolean): void {
  try {
    Deno.stdin.setRaw(isRaw);
  } catch {
    // The terminal is gone.
  }
}
