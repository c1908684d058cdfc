/** What a set of timings comes to. */
export interface Summary {
  /** Middle value. */
  readonly median: number;
  /** Lower and upper quartile. */
  readonly quartiles: readonly [number, number];
}

/** Median and quartiles: one slow start in a noisy machine moves neither. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.round((sorted.length - 1) * q)] ?? NaN;
  return { median: at(0.5), quartiles: [at(0.25), at(0.75)] };
}
