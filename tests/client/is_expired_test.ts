import { assertEquals } from "@std/assert";
import { isExpired, parseExpiry } from "../../client/is_expired.ts";
import { runDeno } from "../support/run_script.ts";

const NOON = Date.UTC(2030, 0, 1, 12);

const TIMESTAMPS: [text: string, time: number][] = [
  ["2030-01-01T12:00:00Z", NOON],
  ["2030-01-01T12:00:00z", NOON],
  ["2030-01-01T12:00:00+00:00", NOON],
  ["2030-01-01T17:30:00+05:30", NOON],
  ["2030-01-01T17:30:00+0530", NOON],
  ["2030-01-01T08:00:00-04:00", NOON],
  ["2030-01-01T12:00:00", NOON],
  ["2030-01-01 12:00:00", NOON],
  [" 2030-01-01T12:00:00Z ", NOON],
  ["2030-01-01T12:00Z", NOON],
  ["2030-01-01T12:00:00.000Z", NOON],
  ["2030-01-01T12:00:00.123456+00:00", NOON + 123],
  ["2030-01-01T12:00:00.999999", NOON + 999],
  ["2030-01-01", Date.UTC(2030, 0, 1)],
];

for (const [text, time] of TIMESTAMPS) {
  Deno.test(`parseExpiry: ${JSON.stringify(text)}`, () => assertEquals(parseExpiry(text), time));
}

const GARBAGE = [
  undefined,
  null,
  "",
  "  ",
  "soon",
  "after 2099",
  "2099",
  "1",
  "2099-13-01T00:00:00Z",
  "2099-01-01T99:00:00Z",
  "99999999999",
  4_000_000_000,
  NaN,
  true,
  {},
  [],
  new Date(NOON),
];

for (const garbage of GARBAGE) {
  Deno.test(`parseExpiry: ${Deno.inspect(garbage)} is long past`, () => {
    assertEquals(parseExpiry(garbage), 0);
    assertEquals(isExpired({ expires_at: garbage as string }), true);
  });
}

function inSeconds(seconds: number): { expires_at: string } {
  return { expires_at: new Date(Date.now() + seconds * 1000).toISOString() };
}

Deno.test("isExpired: 120 seconds before the end, unless told otherwise", () => {
  assertEquals(isExpired(inSeconds(115)), true);
  assertEquals(isExpired(inSeconds(125)), false);
  assertEquals(isExpired(inSeconds(5), 0), false);
  assertEquals(isExpired(inSeconds(-1), 0), true);
  assertEquals(isExpired(inSeconds(595), 600), true);
  assertEquals(isExpired(inSeconds(-5), -10), false);
});

Deno.test("isExpired: an entry without the field has expired", () => {
  assertEquals(isExpired({}), true);
});

Deno.test("parseExpiry: without a zone it is UTC, wherever this computer is", async () => {
  const module = new URL("../../client/is_expired.ts", import.meta.url).href;
  const code = `
    import { parseExpiry } from ${JSON.stringify(module)};
    const texts = ["2030-01-01T12:00:00", "2030-01-01 12:00:00.5", "2030-01-01"];
    console.log(JSON.stringify([new Date(0).getTimezoneOffset(), ...texts.map(parseExpiry)]));
  `;
  const { stdout } = await runDeno({ code, env: { TZ: "America/New_York" } });
  assertEquals(JSON.parse(stdout), [300, NOON, NOON + 500, Date.UTC(2030, 0, 1)]);
});
