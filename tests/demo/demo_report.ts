// deno-lint-ignore-file no-console -- what the demo prints is what it is for

/** A value; several lines of it stand below each other. */
export type Fact = string | number | boolean | readonly string[];

/** Writes the demo's story to standard output, as plain text. */
export class DemoReport {
  readonly #isStyled = Deno.stdout.isTerminal() && !Deno.noColor;

  /** A line that stands out where the terminal can show it. */
  heading(text: string): void {
    console.log(this.#isStyled ? `\n\x1b[1m${text}\x1b[0m` : `\n${text}`);
  }

  /** Sentences, a line each. */
  text(...lines: string[]): void {
    for (const line of lines) console.log(line === "" ? "" : `  ${line}`);
  }

  /** What the person's own program would say. */
  code(...lines: string[]): void {
    for (const line of lines) console.log(`    ${line}`);
  }

  /** What came of a step: labels and values, below each other. */
  facts(facts: Record<string, Fact>): void {
    const width = Math.max(...Object.keys(facts).map((label) => label.length));
    console.log();
    for (const [label, fact] of Object.entries(facts)) {
      const [first, ...rest] = lines(fact);
      console.log(`  ${label.padEnd(width)}  ${first}`);
      for (const line of rest) console.log(`  ${"".padEnd(width)}  ${line}`);
    }
  }
}

function lines(fact: Fact): readonly string[] {
  if (typeof fact === "boolean") return [fact ? "yes" : "no"];
  return typeof fact === "object" ? fact : [String(fact)];
}
