import { assertEquals } from "@std/assert";
import { redact } from "../../client/redact.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";

const OPAQUE = "rt3Bn6yHs1Jd5Gf0Kq8W";
const ODD = 'q"7\\Zx+/=~Lm4%Tv9 &Rb2';

const ROWS: [what: string, text: string, secrets: string[], expected: string][] = [
  ["nothing of it", "invalid_grant: try again", [OPAQUE], "invalid_grant: try again"],
  ["no secrets", `the token ${OPAQUE}`, [], `the token ${OPAQUE}`],
  ["the empty secret", "a text", [""], "a text"],
  ["the whole", `unknown token ${OPAQUE}.`, [OPAQUE], "unknown token [removed]"],
  ["the whole, in quotes", `unknown "${OPAQUE}"`, [OPAQUE], 'unknown "[removed]"'],
  ["more than once", `${OPAQUE} is not ${OPAQUE}`, [OPAQUE], "[removed] is not [removed]"],
  [
    "a prefix",
    `unknown token ${OPAQUE.slice(0, 14)}… here`,
    [OPAQUE],
    "unknown token [removed] here",
  ],
  ["the shortest prefix", OPAQUE.slice(0, 12), [OPAQUE], "[removed]"],
  ["the beginning of a longer word", `x${OPAQUE}y z`, [OPAQUE], "x[removed] z"],
  ["a short secret", "no user abc here", ["abc"], "no user [removed] here"],
  [
    "two secrets",
    `${OPAQUE} and other-secret-1`,
    [OPAQUE, "other-secret-1"],
    "[removed] and [removed]",
  ],
  ["inside a query", `?a=1&token=${OPAQUE}&b=2`, [OPAQUE], "?a=1&token=[removed]&b=2"],
  ["inside a tag", `<b>${OPAQUE}</b>`, [OPAQUE], "<b>[removed]</b>"],
];

for (const [what, text, secrets, expected] of ROWS) {
  Deno.test(`redact: ${what}`, () => assertEquals(redact(text, secrets), expected));
}

const FORMS: [what: string, form: (secret: string) => string][] = [
  ["as it is", (secret) => secret],
  ["percent-encoded", encodeURIComponent],
  ["as JSON", JSON.stringify],
  ["percent-encoded and cut short", (secret) => encodeURIComponent(secret).slice(0, 16)],
  ["as JSON and cut short", (secret) => JSON.stringify(secret).slice(0, 15)],
];

for (const [what, form] of FORMS) {
  Deno.test(`redact: characters of every kind, ${what}`, () => {
    const text = redact(`what came was ${form(ODD)}`, [ODD]);
    assertNoSecret(text, [ODD]);
    assertEquals(text.startsWith("what came was "), true);
  });
}

Deno.test("redact: a secret with what ends a word in it goes whole", () => {
  for (const separator of [" ", "&", "'", '"', "<", ">"]) {
    const secret = `k7Qx9mZ2vKw4Lr8${separator}rt3Bn6yHs1Jd5Gf0`;
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret)]) {
      assertNoSecret(redact(`what came was ${form}`, [secret]), [secret]);
    }
  }
});
