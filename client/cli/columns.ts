/** Narrowest last column beside the others. A narrower one goes below them. */
const NARROWEST = 30;

/** Rows in columns, without trailing spaces. Wraps the last column to `width`. */
export function columns(
  rows: readonly (readonly string[])[],
  indent = "",
  width = Infinity,
): string {
  const last = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const widths = Array.from(
    { length: last },
    (_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  const start = widths.reduce((sum, one) => sum + one + 2, indent.length);
  const isBeside = width - start >= NARROWEST;
  const margin = isBeside ? " ".repeat(start) : `${indent}${" ".repeat(8)}`;
  return rows.map((row) => {
    const cells = widths.map((one, index) => (row[index] ?? "").padEnd(one) + "  ");
    const text = wrap(row[last] ?? "", width - margin.length).map((line) => margin + line);
    const head = indent + cells.join("");
    const lines = isBeside ? [head + text.join("\n").slice(start)] : [head, ...text];
    return lines.join("\n").replaceAll(/ +$/gm, "") + "\n";
  }).join("");
}

/** Lines of at most `width` characters, unless a word is longer. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
