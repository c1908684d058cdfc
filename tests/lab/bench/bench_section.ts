import type { Summary } from "./summary.ts";

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
