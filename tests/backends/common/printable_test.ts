import { assert, assertEquals } from "@std/assert";
import { parseRetryAfter } from "../../../backends/common/http_answer.ts";
import { parseObject, sameJson } from "../../../backends/common/json.ts";
import { printable } from "../../../backends/common/printable.ts";
import { redact, remember } from "../../../backends/common/redaction.ts";
import { busyTime } from "../../support/busy_time.ts";

Deno.test("printable: control and format characters become one space, up to the limit", () => {
  assertEquals(printable("a\x1b[31mb\x07\r\nc"), "a [31mb c");
  assertEquals(printable("a\u202eb\u2028c\u200bd\x9be\x7f"), "a b c d e");
  assertEquals(printable("Grüße, 東京"), "Grüße, 東京");
  assertEquals(printable("x".repeat(200)), "x".repeat(200));
  assertEquals(printable("x".repeat(201)), `${"x".repeat(200)}…`);
  assertEquals(printable("abcdef", 3), "abc…");
});

Deno.test("parseObject takes JSON objects and nothing else", () => {
  assertEquals(parseObject(' {"a": [1]} '), { a: [1] });
  for (const text of ["", "{", "null", "[]", "7", '"text"', "{} {}"]) {
    assertEquals(parseObject(text), undefined, text);
  }
});

Deno.test("sameJson: the order of members does not count, at any depth; that of a list does", () => {
  const one = { a: 1, b: { c: [1, 2], d: null }, "a,b": "c" };
  assertEquals(sameJson(one, { "a,b": "c", b: { d: null, c: [1, 2] }, a: 1 }), true);
  assertEquals(sameJson(one, { ...one, b: { c: [2, 1], d: null } }), false);
});

Deno.test("parseRetryAfter takes whole seconds and dates to come", () => {
  assertEquals([parseRetryAfter("5"), parseRetryAfter(" 0 ")], [5000, 0]);
  const ms = parseRetryAfter(new Date(Date.now() + 60_000).toUTCString())!;
  assert(ms > 50_000 && ms <= 60_000, `${ms}`);
  for (const value of [null, "", "soon", "-5", "1.5e", "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    assertEquals(parseRetryAfter(value), undefined, `${value}`);
  }
});

const OPAQUE = "rt3Bn6yHs1Jd5Gf0Kq8W";
const ODD = "q7\\Zx+/=~Lm4%Tv9 &Rb2";

const ROWS: [what: string, text: string, secrets: string[], expected: string][] = [
  ["nothing of it", "invalid_grant: try again", [OPAQUE], "invalid_grant: try again"],
  ["no secrets", `the token ${OPAQUE}`, [], `the token ${OPAQUE}`],
  ["the empty secret", "a text", [""], "a text"],
  ["the whole", `unknown token ${OPAQUE}.`, [OPAQUE], "unknown token [removed]."],
  ["the whole, in quotes", `unknown "${OPAQUE}"`, [OPAQUE], 'unknown "[removed]"'],
  ["more than once", `${OPAQUE} is not ${OPAQUE}`, [OPAQUE], "[removed] is not [removed]"],
  ["its beginning", `token ${OPAQUE.slice(0, 14)}… here`, [OPAQUE], "token [removed]… here"],
  ["its middle", `a ${OPAQUE.slice(5, 15)} b`, [OPAQUE], "a [removed] b"],
  ["its end", OPAQUE.slice(12), [OPAQUE], "[removed]"],
  ["seven characters of it", OPAQUE.slice(3, 10), [OPAQUE], OPAQUE.slice(3, 10)],
  ["the middle of a word", `x${OPAQUE}y z`, [OPAQUE], "x[removed]y z"],
  ["in two pieces", `${OPAQUE.slice(0, 9)},${OPAQUE.slice(9)}`, [OPAQUE], "[removed],[removed]"],
  ["a short secret", "no user abc here", ["abc"], "no user [removed] here"],
  ["two secrets", `${OPAQUE} and ${ODD}`, [OPAQUE, ODD], "[removed] and [removed]"],
  ["percent-encoded", `?t=${encodeURIComponent(ODD)}&b=2`, [ODD], "?t=[removed]&b=2"],
  [
    "percent-encoded in lower case",
    encodeURIComponent(ODD).replace(/%../g, (each) => each.toLowerCase()),
    [ODD],
    "[removed]",
  ],
  ["beyond ASCII, percent-encoded", encodeURIComponent("päß-東京-𝄞"), ["päß-東京-𝄞"], "[removed]"],
  ["half a character", `it was \ud834${OPAQUE}`, [`\ud834${OPAQUE}`], "it was [removed]"],
];

for (const [what, text, secrets, expected] of ROWS) {
  Deno.test(`redact: ${what}`, () => {
    assertEquals(redact(text, secrets), expected);
  });
}

for (const before of ["", ":", "ab", "Bearer "]) {
  for (
    const [kind, encode] of [
      ["base64", btoa],
      ["base64url", (text: string) => btoa(text).replaceAll("+", "-").replaceAll("/", "_")],
    ] as const
  ) {
    Deno.test(`redact: in ${kind} after "${before}"`, () => {
      const text = encode(`${before}${ODD}`);
      const clean = redact(text, [ODD]);
      for (let at = 4; at + 8 <= text.length - 4; at++) {
        assertEquals(clean.includes(text.slice(at, at + 8)), false, clean);
      }
      assert(clean.includes("[removed]"));
    });
  }
}

Deno.test("redact: long texts and long secrets take no time", async () => {
  const secret = Array.from({ length: 500 }, () => crypto.randomUUID()).join("/");
  const time = await busyTime(() => {
    for (const text of [secret, secret.slice(0, -3_500), secret.slice(0, 40)]) {
      assertEquals(redact(`it was ${text} indeed`, [secret]), "it was [removed] indeed");
    }
    assertEquals(redact("a".repeat(20_000), [secret]).length, 20_000);
    assertEquals(redact("a".repeat(20_000), ["a".repeat(20_000)]), "[removed]");
  });
  assert(time < 10_000, `${time} ms`);
});

Deno.test("remember: keeps the last secrets, and no other values", () => {
  const secrets = new Set<string>();
  remember(secrets, [undefined, null, 7, "", {}]);
  assertEquals(secrets.size, 0);
  for (let count = 0; count < 500; count++) remember(secrets, [`secret ${count}`]);
  assertEquals([secrets.size, secrets.has("secret 499")], [200, true]);
});

Deno.test("remember: a secret that is in use outlasts two hundred tokens", () => {
  const secrets = new Set<string>();
  for (let count = 0; count < 300; count++) {
    remember(secrets, ["client-secret", `token-${count}`]);
    assert(secrets.has("client-secret"), `${count}`);
  }
});
