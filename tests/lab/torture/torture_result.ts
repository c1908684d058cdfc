import { assertEquals } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
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

/** Runs a torture in its short form, in which nothing may break. */
export async function holds(
  run: (options: TortureOptions) => Promise<TortureResult>,
  options: Pick<TortureOptions, "count" | "startStore">,
): Promise<void> {
  await using folder = await tempDir();
  assertEquals((await run({ ...options, seed: 1, folder: folder.path })).failures, []);
}
