import { assert, assertEquals } from "@std/assert";
import { runDeno } from "../../support/deno_process.ts";
import { isPosix } from "../../support/sandbox.ts";
import { cliTest } from "./cli_world.ts";
import { timeText } from "../../../client/cli/commands/status.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const LENGTHS: [ms: number, words: string][] = [
  [0, "1 min"],
  [43 * MINUTE, "43 min"],
  [119 * MINUTE, "119 min"],
  [2 * HOUR + 5 * MINUTE, "2 h"],
  [48 * HOUR, "2 d"],
  [14 * 24 * HOUR + 3 * HOUR, "14 d"],
];

Deno.test("times: a length in its largest unit, before and after now", () => {
  const relative = (end: number, now: number) => /\((.*)\)/.exec(timeText(new Date(end), now))![1];
  for (const [ms, words] of LENGTHS) assertEquals(relative(ms, 0), `in ${words}`);
  assertEquals(relative(0, 2 * HOUR), "2 h ago");
});

/** Runs commands one after the other, in the time zone of the process. */
const RUN_ALL = `import { runCli } from ${
  JSON.stringify(new URL("../../../client/cli.ts", import.meta.url).href)
};
for (const line of Deno.args) await runCli(line.split(" "));`;

// 2027-07-15, when there is daylight saving time in New York.
const END = Date.UTC(2027, 6, 15, 9, 5, 30);
const ZONES = [
  ["Asia/Kolkata", "2027-07-15 14:35 +05:30"],
  ["America/New_York", "2027-07-15 05:05 -04:00"],
] as const;

for (const [TZ, local] of ZONES) {
  cliTest(`times: in ${TZ} people read ${local}, and JSON has UTC`, async (world) => {
    await world.signIn();
    const expires_at = new Date(END).toISOString();
    await world.amend({ expires_at });
    const run = async (...args: string[]) => {
      const env = { ...world.env, TZ };
      const { stdout, stderr } = await runDeno({ code: RUN_ALL, flags: ["-A"], args, env });
      assertEquals(stderr, "");
      return stdout;
    };
    const text = await run("status", "list", "login", "doctor");
    assertEquals(text.split(`valid until ${local} (in `).length, 5, text);
    const json = await run("status --json", "login --json", "token --json", "list --json");
    assertEquals(json.match(/"expires_at": ?"[^"]*"/g)?.length, 5);
    assertEquals(json.split(expires_at).length, 6, json);
    assert(!json.includes(local));
  }, { ignore: !isPosix }); // Windows has its zone from the system alone
}
