// The short form of each torture of a store with a server; `deno task torture` is the long one.
import { writeBesidePython } from "../../lab/torture/beside_python.ts";
import { raceMigration } from "../../lab/torture/migration_race.ts";
import { stampede } from "../../lab/torture/stampede.ts";
import { stopRefresh } from "../../lab/torture/stop_refresh.ts";
import { FILE_STORES, SERVER_STORES } from "../../lab/torture/store.ts";
import { holds } from "../../lab/torture/torture_result.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault", "denokv", "validmind-library");

const stopFor20Seconds: typeof stampede = (options) => stopRefresh({ ...options, pauseMs: 20_000 });

for (const [store, startStore] of Object.entries(SERVER_STORES)) {
  const test = (name: string, run: typeof stampede, count: number) =>
    live.test(`${store}: ${name}`, () => holds(run, { count, startStore }));
  test("processes with one expired rotating token refresh it once", stampede, 1);
  test("a process that is killed in a refresh locks nobody out", stopRefresh, 1);
  test("a process that stands still for 20 s in a refresh loses no sign-in", stopFor20Seconds, 1);
  test("a migration undoes no sign-out and no newer sign-in", raceMigration, 20);
}

live.test("beside the Python library no row of it is lost, and no sign-out undone", async () => {
  await holds(writeBesidePython, { count: 60, startStore: FILE_STORES.file! });
});
