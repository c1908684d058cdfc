// As torture_test.ts, of a store of three nodes.
import { SERVER_STORES } from "../../lab/torture/store.ts";
import { testTortures } from "../../lab/torture/tortures.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const { vault: _, ...ofNodes } = SERVER_STORES;
const { test } = await liveTests("vault");
testTortures(test, ofNodes, "stampede", "killed", "paused", "migration");
