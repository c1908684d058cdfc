// The short form of each torture; `deno task torture` is the long one.
import { assert, assertEquals } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
import { checkHistory } from "./check_history.ts";
import { cutPower } from "./cut_power.ts";
import { fillDisk } from "./fill_disk.ts";
import { killWriters } from "./kill_writers.ts";
import { mixedWriters } from "./mixed_writers.ts";
import { mutateFile } from "./mutate_file.ts";
import { pauseRefresh } from "./pause_refresh.ts";
import { refuseWrites } from "./refuse_writes.ts";
import { stampede } from "./stampede.ts";
import { FILE_STORES, LOCAL_STORES } from "./store.ts";
import { WRITE_REFUSALS } from "./write_refusal.ts";

const seed = 20261124;

Deno.test("killed writers lose no acknowledged write and leave no lock", async () => {
  await using folder = await tempDir();
  const result = await killWriters({ count: 12, seed, folder: folder.path });
  assertEquals(result.failures, []);
  assert(Number(result.figures["acknowledged writes"]) > 0);
});

Deno.test({
  name: "writers that are killed while a scanner holds their files lose no acknowledged write",
  ignore: Deno.build.os !== "windows",
  fn: async () => {
    await using folder = await tempDir();
    const options = { count: 8, seed, folder: folder.path, isScanned: true, longestMs: 500 };
    const { failures, figures } = await killWriters(options);
    assertEquals(failures, []);
    assert(Number(figures["acknowledged writes"]) > 8);
    assert(Number(figures["times that a file was held"]) > 0);
  },
});

Deno.test("sixteen processes with one expired rotating token refresh it once", async () => {
  await using folder = await tempDir();
  const options = { count: 1, seed, folder: folder.path, processes: 16 };
  const { failures, figures } = await stampede(options);
  assertEquals(failures, []);
  assertEquals(figures["refreshes"], 1);
});

Deno.test("eight writers of one file lose no update", async () => {
  await using folder = await tempDir();
  const { failures } = await mixedWriters({ count: 240, seed, folder: folder.path });
  assertEquals(failures, []);
});

Deno.test("a damaged file reads cleanly or is refused and left alone", async () => {
  await using folder = await tempDir();
  const { failures, figures } = await mutateFile({ count: 500, seed, folder: folder.path });
  assertEquals(failures, []);
  assert(Number(figures["read and kept"]) > 0 && Number(figures["backend_corrupt"]) > 0);
});

Deno.test("a full disk is told and damages nothing", async () => {
  await using folder = await tempDir();
  const { failures } = await fillDisk({ count: 25, seed, folder: folder.path });
  assertEquals(failures, []);
});

for (const [name, refusals] of Object.entries(WRITE_REFUSALS)) {
  for (const refusal of refusals) {
    for (const isLate of refusal.isOnlyEarly?.includes(name) ? [false] : [false, true]) {
      Deno.test({
        name: `no refresh token is spent in vain in ${name}: ${refusal.name}` +
          (isLate ? " after the answer" : ""),
        ignore: Deno.build.os === "windows",
        fn: async () => {
          await using folder = await tempDir();
          const startStore = FILE_STORES[name]!;
          const options = { count: 1, seed, folder: folder.path, startStore, refusal, isLate };
          const { failures } = await refuseWrites(options);
          assertEquals(failures, []);
        },
      });
    }
  }
}

for (const [name, startStore] of Object.entries(FILE_STORES)) {
  Deno.test({
    name: `a process that is stopped in a refresh does not cost the sign-in in ${name}`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using folder = await tempDir();
      const options = { count: 1, seed, folder: folder.path, startStore };
      const { failures } = await pauseRefresh({ ...options, pauseMs: 2000, clockRate: 10 });
      assertEquals(failures, []);
    },
  });
}

for (const [name, startStore] of Object.entries(LOCAL_STORES)) {
  Deno.test({
    name: `the calls of four processes to one key of ${name} are linearizable`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using folder = await tempDir();
      const options = { count: 1, seed, folder: folder.path, startStore, calls: 40 };
      const { failures, figures } = await checkHistory(options);
      assertEquals(failures, []);
      assertEquals(figures["operations"], 160);
    },
  });
}

for (const call of ["put", "put under the lock", "delete", "first put", "deleteAll"] as const) {
  Deno.test({
    name: `a power cut during ${call} leaves the old state or the new one`,
    fn: async () => {
      await using folder = await tempDir();
      const { failures } = await cutPower({ count: 1, seed, folder: folder.path, call });
      assertEquals(failures, []);
    },
  });
}
