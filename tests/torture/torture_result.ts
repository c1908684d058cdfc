/** What one torture did and found. */
export interface TortureResult {
  /** What was tried, with its count. */
  name: string;
  /** Findings by name, in the order in which they are shown. */
  figures: Record<string, number | string>;
  /** What broke, in words. Empty when all held. */
  failures: string[];
}

/** What every torture is told. */
export interface TortureOptions {
  /** How often. */
  count: number;
  /** For the random choices: the same seed makes the same ones. */
  seed: number;
  /** A folder of its own, removed by the caller. */
  folder: string;
}
