import { assertEquals } from "@std/assert";
import { assertSamePerson, judgedSkew, type Subject } from "../../../client/provider/id_token.ts";
import { providerSkew } from "../../../client/provider/fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const NOW = Date.parse("2026-03-01T12:00:00.400Z");

/** What a `Date` header says of the provider's clock, in seconds. */
const ROWS: [date: string | null, seconds: number][] = [
  ["Sun, 01 Mar 2026 12:00:00 GMT", 0],
  ["Sun, 01 Mar 2026 12:10:00 GMT", 600],
  ["Sun, 01 Mar 2026 11:50:00 GMT", -600],
  ["Sun, 01 Mar 2026 12:15:00 GMT", 900], // the most that is believed
  ["Sun, 01 Mar 2026 12:15:02 GMT", 0],
  ["Sun, 01 Mar 2026 11:44:58 GMT", 0],
  [null, 0],
  ["", 0],
  ["soon", 0],
  ["2026-03-01 12:05:00.123456", 0],
];

Deno.test("the clock of an ID token: up to 15 minutes of a header are believed", () => {
  for (const [date, seconds] of ROWS) {
    assertEquals(judgedSkew(providerSkew(date, undefined, NOW)), seconds, `${date}`);
  }
});

Deno.test("the provider's clock: Date first, then iat within 15 minutes", () => {
  const [date, at] = ["Sun, 01 Mar 2026 13:00:00 GMT", Math.round(NOW / 1000)];
  assertEquals(providerSkew(date, at, NOW), 3600);
  assertEquals(providerSkew(null, at - 400, NOW), -400);
  assertEquals(providerSkew("soon", at + 400, NOW), 400);
  for (const iat of [at + 901, at - 901, 9e15, "1", undefined, NaN]) {
    assertEquals(providerSkew(null, iat, NOW), undefined);
  }
  assertEquals(providerSkew("Mon, 02 Mar 2026 13:00:00 GMT", at, NOW), undefined);
});

Deno.test("assertSamePerson: the same sub at the same issuer, which may come to have a slash", async () => {
  const who = { iss: "https://login.example.com", sub: "a" };
  const same: Subject[] = [who, { ...who, iss: `${who.iss}/` }];
  for (const other of same) assertSamePerson(who, other, who.iss);
  const others: Subject[] = [
    { ...who, iss: `${who.iss}/x` },
    { ...who, iss: undefined },
    { ...who, sub: "A" },
  ];
  for (const other of others) {
    const run = () => Promise.try(assertSamePerson, who, other, who.iss);
    await rejectsWith("id_token_invalid", run, "another person's");
  }
  const unknown = () => Promise.try(assertSamePerson, "unknown", who, who.iss);
  await rejectsWith("id_token_invalid", unknown, "cannot be read", "Sign out and sign in again");
});
