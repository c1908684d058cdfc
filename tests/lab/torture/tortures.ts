import { assertEquals } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
import { tortureBesideStandbys } from "./beside_standbys.ts";
import { writeBesidePython } from "./beside_python.ts";
import { raceMigration } from "./migration_race.ts";
import { refreshBesidePython } from "./refresh_beside_python.ts";
import { stampede } from "./stampede.ts";
import { stopRefresh } from "./stop_refresh.ts";
import { FILE_STORES, SERVER_STORES, STANDBY_STORES, type StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** A torture, by its flag. */
interface Torture {
  about: string;
  /** How often. */
  count: number;
  /** How often in a test, and what it holds. */
  short?: [count: number, promise: string];
  stores: Record<string, StartStore>;
  run: (options: TortureOptions) => Promise<TortureResult>;
}

const { file, kv } = FILE_STORES as Record<"file" | "kv", StartStore>;
const ALL_STORES = { ...FILE_STORES, ...SERVER_STORES, ...STANDBY_STORES };

/** All tortures. */
export const TORTURES: Record<string, Torture> = {
  killed: {
    about: "processes killed at each of 7 steps of their refresh, and the next start",
    count: 20,
    short: [1, "a process that is killed in a refresh locks nobody out"],
    stores: ALL_STORES,
    run: stopRefresh,
  },
  paused: {
    about: "processes stopped for 20 s at each of these steps",
    count: 3,
    short: [1, "a process that stands still for 20 s in a refresh loses no sign-in"],
    stores: ALL_STORES,
    run: (options) => stopRefresh({ ...options, pauseMs: 20_000 }),
  },
  stampede: {
    about: "rounds of 16 processes with one expired token",
    count: 20,
    short: [1, "processes with one expired rotating token refresh it once"],
    stores: ALL_STORES,
    run: stampede,
  },
  python: {
    about: "writes and sign-outs beside those of the ValidMind Python library, in one file",
    count: 200,
    short: [60, "beside the Python library no row of it is lost, and no sign-out undone"],
    stores: { file },
    run: writeBesidePython,
  },
  "python-refresh": {
    about: "refreshes beside those of the library, at random times of each other",
    count: 200,
    stores: { file },
    run: (options) => refreshBesidePython(options),
  },
  "python-at-once": {
    about: "the same, which start at once",
    count: 60,
    stores: { file },
    run: (options) => refreshBesidePython(options, { longestOffsetMs: 0 }),
  },
  "python-slow": {
    about: "the same, where the provider takes 0.3 s for an answer",
    count: 60,
    stores: { file },
    run: (options) => refreshBesidePython(options, { longestOffsetMs: 0, answerMs: 300 }),
  },
  standbys: {
    about:
      "rounds of 4 processes with one expired token at nodes that answer late, kills, sign-outs",
    count: 100,
    short: [8, "by its standbys no sign-in is refused, no grant lost and no sign-out undone"],
    stores: STANDBY_STORES,
    run: tortureBesideStandbys,
  },
  migration: {
    about: "sign-outs and sign-ins of entries that are being moved",
    count: 300,
    short: [20, "a migration undoes no sign-out and no newer sign-in"],
    stores: { file, kv, vault: SERVER_STORES.vault! },
    run: raceMigration,
  },
};

/** Registers the short form of tortures as tests, in which nothing may break. */
export function testTortures(
  test: (name: string, fn: () => Promise<void>) => void,
  stores: Record<string, StartStore>,
  ...names: string[]
): void {
  for (const [store, startStore] of Object.entries(stores)) {
    for (const { short, run } of names.map((name) => TORTURES[name]!)) {
      const [count, promise] = short!;
      test(`${store}: ${promise}`, async () => {
        await using folder = await tempDir();
        const { failures } = await run({ count, seed: 1, folder: folder.path, startStore });
        assertEquals(failures, []);
      });
    }
  }
}
