// The short form of each torture of a store with a server; `deno task torture` is the long one.
import { FILE_STORES, SERVER_STORES, STANDBY_STORES } from "../../lab/torture/store.ts";
import { testTortures } from "../../lab/torture/tortures.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const { vault } = SERVER_STORES; // the other one has a file of its own, which runs beside this one
const { test } = await liveTests("vault", "validmind-library");
testTortures(test, { vault: vault! }, "stampede", "killed", "paused", "migration");
testTortures(test, { file: FILE_STORES.file! }, "python");

const openbao = await liveTests("openbao");
testTortures(openbao.test, STANDBY_STORES, "standbys");
