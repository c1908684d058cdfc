import type { StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** One torture of a mode. */
export interface Torture {
  /** How often; 0 leaves it out. */
  count: number;
  run: (options: TortureOptions) => Promise<TortureResult>;
}

/** One way to call `deno task torture`. */
export interface TortureMode {
  /** What it tortures, for the help. */
  readonly about: string;
  /** The counts that flags set: the default of each, and its meaning. */
  readonly counts: Readonly<Record<string, readonly [byDefault: number, meaning: string]>>;
  /** The stores that `--store` picks from. */
  readonly stores?: Readonly<Record<string, StartStore>>;
  /** Its tortures of one store, or of no store in particular. */
  readonly tortures: (counts: Record<string, number>, store: NamedStore | undefined) => Torture[];
}

/** A store with its name. */
export interface NamedStore {
  readonly name: string;
  readonly start: StartStore;
}
