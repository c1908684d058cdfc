/**
 * What must not come back, by ratios and counts: a machine's speed is no one's fault. The margins are
 * wide, so that a busy machine passes; `deno task bench` has the bars.
 */
import { assert, assertEquals } from "@std/assert";
import { tempDir } from "../support/temp_home.ts";
import { benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "./bench_world.ts";
import { loadedModules } from "./loaded_modules.ts";
import { measureCommands } from "./measure_commands.ts";
import { hotCalls } from "./sections/hot_path.ts";
import { measureCalls } from "./measure_calls.ts";

/** What a start from a stored token has no use for. */
const LAZY = [
  "backends/load/create_backend.ts",
  "backends/file/lock.ts",
  "backends/file/store.ts",
  "backends/kv/store.ts",
  "backends/migrate/migration.ts",
  "client/api/client.ts",
  "client/api/transport.ts",
  "client/options/resolve_options.ts",
  "client/permissions/needs.ts",
  "client/permissions/preflight.ts",
  "client/permissions/prepare_session.ts",
  "client/tokens/store.ts",
  "client/provider/oidc_provider.ts",
  "client/prompt/open_prompt.ts",
  "client/signed_in/sign_out.ts",
  "client/sign_in/dialog.ts",
  "client/tokens/refresh.ts",
  "client/tokens/renewal.ts",
  "client/provider/refresh_grant.ts",
  "client/provider/token_request.ts",
  "client/sign_in/device.ts",
];

Deno.test("a start from a stored token runs nothing that it does not use", async () => {
  const { run, read } = await loadedModules("cached_start.ts");
  assertEquals(run.foreign, [], "modules of others");
  assertEquals(run.own.filter((path) => LAZY.includes(path)), []);
  assertEquals(LAZY.filter((path) => !read.own.includes(path)), [], "not there any more");
  assert(run.own.length <= 17, `${run.own.length} modules: is one of them needed later only?`);
  // Without comments: nobody should save on those.
  assert(run.ownCodeBytes <= 85_000, `${run.ownCodeBytes} bytes of code`);
  assert(read.own.length <= 112, `${read.own.length} modules with those for an import()`);
  // Each costs about 0.08 ms of processor time; one of our own that is only read, 0.06 ms.
  assert(read.foreign.length <= 3, `${read.foreign.length} modules of others, for an import()`);
});

Deno.test("a start from a stored token takes not much longer than to read and parse the file", async () => {
  await using folder = await tempDir("bench-");
  const home = await benchHome(folder.path);
  const env = { HOME: home, USERPROFILE: home };
  const measured = await measureCommands([
    { name: "floor", command: denoProgram("read_parse.ts", KEY), env },
    { name: "own", command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID), env },
  ], 15);
  const ratio = measured.get("own")!.median / measured.get("floor")!.median;
  assert(ratio < 2.6, `${ratio.toFixed(2)} times the floor`);
});

Deno.test("a token in memory is given out about as fast as by a plain function", async () => {
  const calls = await hotCalls();
  const measured = await measureCalls(calls, { batches: 30, perBatch: 5000 });
  const [floor, own] = calls.map(({ name }) => measured.get(name)!.median);
  assert(own! < floor! * 4, `${(own! / floor!).toFixed(2)} times the floor`);
});
