// The short form of each torture of a store with a server; `deno task torture --servers` is the long.
import { assert, assertEquals } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
import { writeBesidePython } from "../../lab/torture/beside_python.ts";
import { crowd } from "../../lab/torture/crowd.ts";
import { CROWD_STORES } from "../../lab/torture/crowd_store.ts";
import { checkHistory } from "../../lab/torture/check_history.ts";
import { faultNetwork } from "../../lab/torture/fault_network.ts";
import { killLeader } from "../../lab/torture/kill_leader.ts";
import { killServer } from "../../lab/torture/kill_server.ts";
import { pauseRefresh } from "../../lab/torture/pause_refresh.ts";
import { stampede } from "../../lab/torture/stampede.ts";
import { SERVER_STORES } from "../../lab/torture/store.ts";

const seed = 20261124;

for (const [name, startStore] of Object.entries(SERVER_STORES)) {
  Deno.test(`eight processes with one expired rotating token in ${name} refresh it once`, async () => {
    await using folder = await tempDir();
    const options = { count: 1, seed, folder: folder.path, processes: 8, startStore };
    const { failures, figures } = await stampede(options);
    assertEquals(failures, []);
    assertEquals(figures["refreshes"], 1);
  });

  Deno.test(`a server of ${name} that is killed in a refresh loses no token`, async () => {
    await using folder = await tempDir();
    const options = { count: 5, seed, folder: folder.path, startStore };
    const { failures, figures } = await killServer(options);
    assertEquals(failures, []);
    assert(Number(figures["tokens acknowledged"]) > 0);
  });

  Deno.test(`a network that cuts and loses answers of ${name} costs no token`, async () => {
    await using folder = await tempDir();
    const options = { count: 1, seed, folder: folder.path, startStore, processes: 2 };
    const { failures, figures } = await faultNetwork(options);
    assertEquals(failures, []);
    assertEquals(figures["tokens acknowledged"], 2);
  });

  Deno.test({
    name: `a process that is stopped in a refresh does not cost the sign-in in ${name}`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      await using folder = await tempDir();
      const options = { count: 1, seed, folder: folder.path, startStore };
      const { failures } = await pauseRefresh({ ...options, pauseMs: 3500, clockRate: 5 });
      assertEquals(failures, []);
    },
  });
}

for (const name of ["vault", "denokv"]) {
  Deno.test(`twenty people keep their sign-ins in ${name}, whose leader is killed`, async () => {
    await using folder = await tempDir();
    const size = { count: 20, processes: 2, seconds: 4, starts: 2, refreshes: 1 };
    const startStore = CROWD_STORES[name]!;
    const { failures, figures } = await crowd({ ...size, seed, folder: folder.path, startStore });
    assertEquals(failures, []);
    assertEquals(figures["grants alive"], 20);
  });
}

Deno.test("a leader of a Vault cluster that is killed in a refresh costs no token", async () => {
  await using folder = await tempDir();
  const options = { count: 1, seed, folder: folder.path, processes: 4 };
  const { failures, figures } = await killLeader(options);
  assertEquals(failures, []);
  assertEquals(figures["tokens acknowledged"], 4);
});

Deno.test("beside the Python library no row of it is lost, and no sign-out undone", async () => {
  await using folder = await tempDir();
  const { failures } = await writeBesidePython({ count: 60, seed, folder: folder.path });
  assertEquals(failures, []);
});

for (const [name, startStore] of Object.entries(SERVER_STORES)) {
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
