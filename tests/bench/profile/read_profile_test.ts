import { assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { formatProfile } from "./format_profile.ts";
import { DENOS, PLACES, readProfile } from "./read_profile.ts";
import { summarize } from "../summary.ts";

/** A start from a stored token, as Deno 2.9.6 recorded it on a busy machine, a sample each 0.5 ms. */
const RECORDED = await Deno.readTextFile(
  new URL("../../fixtures/stored_start.cpuprofile", import.meta.url),
);
const times = readProfile(RECORDED, "file:///repository/");

Deno.test("a recorded profile: the time is told by place, and all of it", () => {
  const rounded = Object.entries(times.places).map(([place, ms]) => [place, ms.toFixed(1)]);
  assertEquals(Object.fromEntries(rounded), {
    begin: "118.0",
    waiting: "55.0",
    native: "9.1",
    garbage: "0.0",
    runtime: "6.0",
    others: "0.0",
    script: "0.0",
    modules: "0.0",
    functions: "10.1",
    paused: "193.4",
  });
  const sum = Object.values(times.places).reduce((all, ms) => all + ms, 0);
  assertAlmostEquals(sum, times.total, 1); // the last sample has no end
});

Deno.test("a recorded profile: functions of this module by name and file", () => {
  const found = [...times.functions].map(([name, ms]) => [name, Number(ms.toFixed(2))]);
  assertEquals(found.slice(0, 3), [
    ["plainSession in client/create_session.ts", 2],
    ["plainOptions in client/create_session.ts", 1],
    ["credentialsPath in backends/credentials_path.ts", 1],
  ]);
});

Deno.test("a profile: vendored modules are others', Node's and Deno's own are the runtime", () => {
  const frame = (id: number, functionName: string, url: string, lineNumber = 5) => ({
    id,
    callFrame: { functionName, url, lineNumber },
  });
  const profile = {
    nodes: [
      frame(1, "", "file:///r/client/init.ts", 0),
      frame(2, "init", "file:///r/client/init.ts"),
      frame(3, "equal", "https://jsr.io/@std/assert/1.0.19/equal.js"),
      frame(4, "get", "node:process"),
      frame(5, "main", "file:///r/tests/bench/programs/cached_start.ts"),
      frame(6, "(garbage collector)", ""),
    ],
    startTime: 1000,
    endTime: 7000,
    samples: [1, 2, 3, 4, 5, 6, 6],
    timeDeltas: [500, 100, 200, 300, 400, 500, 4000],
  };
  const { places, total } = readProfile(JSON.stringify(profile), "file:///r/");
  const none = Object.fromEntries(Object.keys(PLACES).map((place) => [place, 0]));
  const expected = {
    ...none,
    ...{ begin: 0.5, modules: 0.1, functions: 0.2, others: 0.3, runtime: 0.4, script: 0.5 },
    ...{ garbage: 1, paused: 3 },
  };
  assertEquals([places, total], [expected as typeof places, 6]);
});

Deno.test("the page of a profile says what is Deno's and what is this module's, and names functions", () => {
  const places = Object.fromEntries(
    Object.entries(times.places).map(([place, ms]) => [place, summarize([ms])]),
  ) as Parameters<typeof formatProfile>[0][number]["places"];
  const functions = [...times.functions];
  const page = formatProfile([
    { name: "a stored start", process: summarize([123.4]), places, functions },
  ]);
  const denos = DENOS.reduce((all, place) => all + times.places[place], 0);
  assertStringIncludes(page, "a stored start takes 123.4 ms without the profiler.");
  assertStringIncludes(page, `${denos.toFixed(1)} ms (`);
  assertStringIncludes(page, "plainOptions in client/create_session.ts");
  for (const title of Object.values(PLACES)) assertStringIncludes(page, title);
});
