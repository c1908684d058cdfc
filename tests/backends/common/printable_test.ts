import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { printable, redact, safeCause } from "../../../backends/common/printable.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";

Deno.test("printable: control and format characters become one space", () => {
  assertEquals(printable("a\x1b[31mb\x07\r\nc"), "a [31mb c");
  assertEquals(printable("a\u202eb\u2028c\u200bd\x9be\x7f"), "a b c d e");
  assertEquals(printable("Grüße, 東京"), "Grüße, 東京");
});

Deno.test("printable: no longer than the limit", () => {
  assertEquals(printable("x".repeat(200)), "x".repeat(200));
  assertEquals(printable("x".repeat(201)), `${"x".repeat(200)}…`);
  assertEquals(printable("abcdef", 3), "abc…");
});

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

function html(secret: string): string {
  const names: Record<string, string> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return secret.replace(/[^\w.;#-]/gu, (each) => {
    return names[each] ? `&${names[each]};` : `&#${each.codePointAt(0)};`;
  });
}

function everyCharacter(secret: string, form: (code: number) => string): string {
  return [...secret].map((each) => form(each.codePointAt(0)!)).join("");
}

const FORMS: [what: string, form: (secret: string) => string][] = [
  ["as it is", (secret) => secret],
  ["percent-encoded", encodeURIComponent],
  [
    "percent-encoded in lower case",
    (secret) => encodeURIComponent(secret).replace(/%../g, (each) => each.toLowerCase()),
  ],
  ["percent-encoded twice", (secret) => encodeURIComponent(encodeURIComponent(secret))],
  [
    "percent-encoded throughout",
    (secret) => everyCharacter(secret, (code) => `%${code.toString(16)}`),
  ],
  ["as a form", (secret) => new URLSearchParams({ secret }).toString()],
  ["escaped for HTML", html],
  ["escaped for HTML twice", (secret) => html(html(secret))],
  [
    "escaped for HTML in hexadecimal",
    (secret) => everyCharacter(secret, (code) => `&#x${code.toString(16).toUpperCase()};`),
  ],
  ["escaped for HTML and cut short", (secret) => html(secret).slice(0, 40)],
  [
    "as JSON in ASCII",
    (secret) => everyCharacter(secret, (code) => `\\u${code.toString(16).padStart(4, "0")}`),
  ],
  ["as JSON with its slashes escaped", (secret) => JSON.stringify(secret).replaceAll("/", "\\/")],
  ["as JSON", JSON.stringify],
  ["percent-encoded and cut short", (secret) => encodeURIComponent(secret).slice(0, 30)],
  ["as JSON and cut short", (secret) => JSON.stringify(secret).slice(0, 15)],
];

for (const [what, form] of FORMS) {
  Deno.test(`redact: characters of every kind, ${what}`, () => {
    const text = redact(`what came was ${form(ODD)}`, [ODD]);
    assertNoSecret(text, [ODD]);
    // Nothing is left over but what stood around it, and a form that was cut in its middle.
    assertMatch(text, /^what came was ("|secret=)?\[removed\]("|&#?\w*)?$/);
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

Deno.test("redact: a secret of 100 KiB, whole and cut short, takes no time", () => {
  const secret = Array.from({ length: 3000 }, () => crypto.randomUUID()).join("/");
  for (const text of [secret, encodeURIComponent(secret), secret.slice(0, -20_000)]) {
    assertEquals(redact(`it was ${text} indeed`, [secret]), "it was [removed] indeed");
  }
});

Deno.test("redact: characters beyond ASCII", () => {
  const secret = "päßwörter-東京-𝄞-Zürich";
  for (const text of [secret, encodeURIComponent(secret), html(secret), JSON.stringify(secret)]) {
    assertEquals(redact(text, [secret]).replaceAll('"', ""), "[removed]");
  }
});

/** What HTTP clients throw: an error that has the request on it. */
class ClientError extends Error {
  override name = "ClientError";
  readonly request = { body: "refresh_token=a-secret" };
}

const KEPT: Error[] = [
  new TypeError("error sending request"),
  new DOMException("too late", "TimeoutError"),
  new Deno.errors.ConnectionRefused("refused"),
  new Deno.errors.NotCapable("no"),
  Object.assign(new Deno.errors.ConnectionReset("reset"), { code: "ECONNRESET" }),
];

for (const error of KEPT) {
  Deno.test(`safeCause keeps ${error.constructor.name}`, () => {
    assertEquals(safeCause(error), { cause: error });
  });
}

const DROPPED: [what: string, thrown: unknown][] = [
  ["a class of others'", new ClientError("failed")],
  ["a plain Error", new Error("failed")],
  ["a TypeError with a request on it", Object.assign(new TypeError("failed"), { request: {} })],
  ["a TypeError with a cause", new TypeError("fetch failed", { cause: new ClientError("x") })],
  ["Deno's own with a request on it", Object.assign(new Deno.errors.Http("x"), { init: {} })],
  ["what is no error", { body: "refresh_token=a-secret" }],
  ["a text", "a-secret"],
  ["nothing", undefined],
];

for (const [what, thrown] of DROPPED) {
  Deno.test(`safeCause drops ${what}`, () => assertEquals(safeCause(thrown), {}));
}

Deno.test("safeCause tells why Deno's own fetch failed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(() => fetch(`http://127.0.0.1:${port}/`), TypeError);
  assertStringIncludes(Deno.inspect(safeCause(error)), "client error (Connect)");
});
