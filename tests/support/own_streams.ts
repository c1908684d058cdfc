import { assertNotMatch } from "@std/assert";

/** Words for a person that a value is missing from. */
export const GAP = /\bundefined\b|\bNaN\b|\[object /;

/** Options of {@linkcode OwnStreams}. */
export interface OwnStreamsOptions {
  /** What a program reads from standard input. */
  stdin?: string;
  /** The size of a terminal, which standard output and standard error are then. */
  terminal?: { columns: number; rows: number };
}

/** Stands in for the standard streams in one test file until it is disposed, as `OwnEnv` for variables. */
export class OwnStreams implements Disposable {
  /** What was written. */
  readonly written: { stdout: string; stderr: string } = { stdout: "", stderr: "" };
  readonly #outer = {
    stdin: Deno.stdin,
    stdout: Deno.stdout,
    stderr: Deno.stderr,
    consoleSize: Deno.consoleSize,
  };

  constructor({ stdin = "", terminal }: OwnStreamsOptions = {}) {
    const readable = ReadableStream.from([new TextEncoder().encode(stdin)]);
    Object.assign(Deno, {
      stdin: { isTerminal: () => false, readable },
      stdout: this.#sink("stdout", terminal !== undefined),
      stderr: this.#sink("stderr", terminal !== undefined),
      consoleSize() {
        if (!terminal?.columns) throw new Error("No size is known"); // as of Deno
        return terminal;
      },
    });
  }

  #sink(name: "stdout" | "stderr", isTerminal: boolean) {
    const writeSync = (bytes: Uint8Array) => {
      this.written[name] += new TextDecoder().decode(bytes);
      return bytes.length;
    };
    return { isTerminal: () => isTerminal, writeSync, write: writeSync };
  }

  [Symbol.dispose](): void {
    Object.assign(Deno, this.#outer);
    for (const text of Object.values(this.written)) assertNotMatch(text, GAP);
  }
}
