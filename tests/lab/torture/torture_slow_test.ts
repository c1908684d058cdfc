// The short form of each torture; `deno task torture` is the long one.
import { raceMigration } from "./migration_race.ts";
import { stampede } from "./stampede.ts";
import { stopRefresh } from "./stop_refresh.ts";
import { FILE_STORES } from "./store.ts";
import { holds, type TortureOptions, type TortureResult } from "./torture_result.ts";

const TORTURES: Record<string, [number, (options: TortureOptions) => Promise<TortureResult>]> = {
  "processes with one expired rotating token refresh it once": [1, stampede],
  "a process that is killed in a refresh locks nobody out": [1, stopRefresh],
  "a migration undoes no sign-out and no newer sign-in": [30, raceMigration],
};

for (const [store, startStore] of Object.entries(FILE_STORES)) {
  for (const [name, [count, run]] of Object.entries(TORTURES)) {
    Deno.test({
      name: `${store}: ${name}`,
      ignore: Deno.build.os !== "linux",
      fn: () => holds(run, { count, startStore }),
    });
  }
}
