/**
 * What must not come back, by ratios and counts: a machine's speed is no one's fault. The margins are
 * wide, so that a busy machine passes; `deno task bench` has the bars.
 */
import { assert } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
import { benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "./bench_world.ts";
import { measureCommands } from "./measure_commands.ts";
import { hotCalls } from "./sections/hot_path.ts";
import { measureCalls } from "./measure_calls.ts";

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
