/** Rows of text under each other, without spaces at the ends of lines. */
export function columns(rows: readonly (readonly string[])[], indent = ""): string {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from(
    { length: count },
    (_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  return rows.map((row) => {
    const cells = row.map((cell, index) => cell.padEnd(widths[index]!));
    return `${indent}${cells.join("  ")}`.trimEnd() + "\n";
  }).join("");
}
