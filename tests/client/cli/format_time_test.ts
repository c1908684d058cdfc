import { assertEquals, assertStringIncludes } from "@std/assert";
import { AS_PROCESS, cliWorld } from "./cli_world.ts";
import { formatLength, formatRelative } from "../../../client/cli/status_report.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

for (
  const [ms, expected] of [
    [0, "0 s"],
    [59_400, "59 s"],
    [59_600, "1 min"],
    [43 * MINUTE, "43 min"],
    [119 * MINUTE, "119 min"],
    [2 * HOUR + 5 * MINUTE, "2 h"],
    [48 * HOUR, "2 d"],
    [14 * 24 * HOUR + 3 * HOUR, "14 d"],
  ] as const
) {
  Deno.test(`formatLength: ${ms} ms is ${expected}`, () =>
    assertEquals(formatLength(ms), expected));
}

Deno.test("formatRelative: before and after now", () => {
  assertEquals(formatRelative(new Date(43 * MINUTE), 0), "in 43 min");
  assertEquals(formatRelative(new Date(0), 2 * HOUR), "2 h ago");
});

// 2027-07-15, when there is daylight saving time in New York.
const END = Date.UTC(2027, 6, 15, 9, 5, 30);

for (
  const [TZ, local] of [
    ["Asia/Kolkata", "2027-07-15 14:35 +05:30"],
    ["America/New_York", "2027-07-15 05:05 -04:00"],
  ] as const
) {
  // Windows has its zone from the system alone.
  const ignore = Deno.build.os === "windows";
  Deno.test(`times: in ${TZ} people read ${local}, and JSON has UTC`, { ignore }, async () => {
    await using world = await cliWorld();
    await world.signIn();
    const expires_at = new Date(END).toISOString();
    await world.amend({ expires_at });
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await world.run(args, { env: { TZ }, flags: AS_PROCESS });
      assertEquals([code, stderr], [0, ""], args.join(" "));
      return stdout;
    };
    assertStringIncludes(await run("status"), `valid until ${local} (in `);
    assertStringIncludes(await run("list"), `valid until ${local} (in `);
    assertStringIncludes(await run("login"), `, until ${local} (in `);
    assertEquals(JSON.parse(await run("status", "--json")).expires_at, expires_at);
    assertEquals(JSON.parse(await run("list", "--json")).sign_ins[0].expires_at, expires_at);
    assertEquals(JSON.parse(await run("token", "--json")).expires_at, expires_at);
    assertStringIncludes(await run("doctor"), `valid until ${local} (in `);
  });
}
