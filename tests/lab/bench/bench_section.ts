import type { Summary } from "./measure_commands.ts";

/** One line of the report. */
export interface BenchRow {
  name: string;
  /** In the section's unit. */
  value: number;
  /** Lower and upper quartile, where the value is a median. */
  quartiles?: readonly [number, number];
  /** Against the row that the section's ratios refer to. */
  ratio?: number;
  /** The highest ratio that is aimed at. */
  bar?: number;
}

/** One table of the report. */
export interface BenchSection {
  title: string;
  unit: string;
  /** The row that the others are compared with. */
  base: string;
  rows: BenchRow[];
}

/** What every section is told. */
export interface BenchOptions {
  /** A folder that is removed afterwards. */
  folder: string;
  /** Multiplies the number of rounds: less than 1 for a quick look. */
  effort: number;
}

/** The rows for what was measured, compared with one of them. */
export function toRows(
  measured: ReadonlyMap<string, Summary>,
  base: string,
  bars: Readonly<Record<string, number>> = {},
): BenchRow[] {
  const reference = measured.get(base)!.median;
  return [...measured].map(([name, { median, quartiles }]) => ({
    name,
    value: median,
    quartiles,
    ratio: median / reference,
    ...(bars[name] !== undefined && { bar: bars[name] }),
  }));
}

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
