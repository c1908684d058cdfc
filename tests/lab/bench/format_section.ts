import type { BenchRow, BenchSection } from "./bench_section.ts";

/** A section as text: medians, quartiles, ratios, and whether a bar was reached. */
export function formatSection({ title, unit, base, rows }: BenchSection): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const head = `${title}${unit && `, ${unit}`}${base && ` (ratios to: ${base})`}`;
  return [head, ...rows.map((row) => `  ${formatRow(row, width)}`), ""].join("\n");
}

function formatRow({ name, value, quartiles, ratio, bar }: BenchRow, width: number): string {
  const range = quartiles === undefined ? "" : quartiles.map(digits).join("–");
  const factor = ratio === undefined ? "" : `${ratio.toFixed(2)} ×`;
  const compared = ratio ?? value;
  const verdict = bar === undefined ? "" : `${compared <= bar ? "within" : "OVER"} ${bar}`;
  return [
    name.padEnd(width),
    digits(value).padStart(9),
    range.padEnd(17),
    factor.padStart(8),
    verdict,
  ]
    .join("  ").trimEnd();
}

/** Three digits that mean something. */
function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
