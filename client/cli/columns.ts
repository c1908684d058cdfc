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
  return rows.map((row) => {
    const head = widths.map((one, index) => (row[index] ?? "").padEnd(one) + "  ").join("");
    const text = wrap(row[last] ?? "", width - start).join(`\n${" ".repeat(start)}`);
    return `${indent}${head}${text}`.replaceAll(/ +$/gm, "") + "\n";
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
