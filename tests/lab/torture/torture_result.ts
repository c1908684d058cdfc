import type { StartStore } from "./store.ts";

/** The findings of one torture. */
export interface TortureResult {
  /** Findings by name, in the order in which they are shown. */
  figures: Record<string, number | string>;
  /** Broken promises, in words. Empty when all held. */
  failures: string[];
}

/** Options of every torture. */
export interface TortureOptions {
  /** How often. */
  count: number;
  /** For the random choices: the same seed makes the same ones. */
  seed: number;
  /** A folder of its own, removed by the caller. */
  folder: string;
  /** The store under torture. */
  startStore: StartStore;
}
