import { assertMatch, assertRejects } from "@std/assert";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { CONFORMANCE_CHECKS } from "../../../backends/testing/conformance_checks.ts";
import type { SharedStore } from "../../../backends/testing/several_processes.ts";
import { sandbox } from "../../support/sandbox.ts";
import * as stores from "./unsafe_stores.ts";

const { folder } = sandbox();

/** A store's class in a folder of its own, for this process and for others. */
function shared(exportName: keyof typeof stores, more: object = { leaseMs: 1_000 }) {
  const options = { path: `${folder()}/store`, ...more };
  const module = import.meta.resolve("./unsafe_stores.ts");
  return {
    open: () => new stores[exportName](options),
    processes: { module, exportName, options },
  };
}

// The SqliteStore of the pages passes it by `readme_test.ts`, from a file as a reader saves it.
const locked = shared("FileLocked");
testCredentialsBackend("the FileLocked of the pages", locked.open, { processes: locked.processes });

const module = import.meta.resolve("./talking_store.ts");
const talking = shared("SqliteStore", { leaseMs: 6_000 }); // a process may stand still for a while

Deno.test("a store that prints a line at its import passes the check of several processes", async () => {
  const processes = { ...talking.processes, module, exportName: "TalkingStore" };
  await run(talking.open(), processes, 5_000);
});

const ELSEWHERE = /one failed, or its entry was lost, or is in another store/;

const FAULTS: [name: keyof typeof stores, says: RegExp, other?: Partial<SharedStore>][] = [
  ["WithoutLock", /it is shared and has no withLock\(\)/],
  ["OwnLock", /withLock\(\) lets other processes in: [1-9]\d* changes were lost/],
  ["LockByFile", /the lock of a process that was killed did not become free/],
  ["RacyTakeover", /withLock\(\) lets other processes in: [1-9]\d* changes were lost/],
  // Which entry is lost first is chance: the common one, or one of a single process.
  ["WholeFile", new RegExp(`changes were lost|${ELSEWHERE.source}`)],
  ["SqliteStore", ELSEWHERE, { options: { path: `${folder()}/other`, leaseMs: 1_000 } }],
  ["SqliteStore", ELSEWHERE, { options: { path: "/no/folder/store" } }],
];

for (const [name, says, other] of FAULTS) {
  Deno.test(`the conformance suite finds by several processes that ${says.source}: ${name}`, async () => {
    const { open, processes } = shared(name);
    const error = await assertRejects(async () => {
      // A race shows by chance, and seldom fails to.
      for (let tries = 0; tries < 5; tries++) await run(open(), { ...processes, ...other });
    }, Error);
    assertMatch(error.message, says);
  });
}

async function run(backend: stores.SqliteStore, processes: SharedStore, patienceMs = 500) {
  const [, check] = CONFORMANCE_CHECKS.find(([, , needs]) => needs === "processes")!;
  const key = (suffix = "") => `conformance|${crypto.randomUUID()}${suffix}`;
  const open = () => Promise.resolve(backend);
  try {
    const name = key();
    await check({ backend, name, open, key, patienceMs, processes });
  } finally {
    backend.close();
  }
}
