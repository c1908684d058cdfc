/** Destination of a command's text. */
export interface Output {
  /** Writes a result to standard output. */
  print(text: string): void;
  /** Writes anything else to standard error. */
  note(text: string): void;
}

/** The process's own standard output and standard error. */
export class StandardOutput implements Output {
  print(text: string): void {
    try {
      writeAll(Deno.stdout, text);
    } catch (error) {
      if (isClosed(error)) return; // the reader, such as `head`, has ended
      const name = error instanceof Error ? error.name : "unknown error";
      throw new OutputError(
        `Cannot write to standard output: ${name}. Redirect it to another place.`,
      );
    }
  }

  note(text: string): void {
    try {
      writeAll(Deno.stderr, text);
    } catch {
      // No other place is left.
    }
  }
}

/** The error for a result that could not be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  readonly code = "output_failed";
}

function writeAll(stream: typeof Deno.stdout, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}

/** A pipe without a reader, or `>&-`. */
function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource;
}
