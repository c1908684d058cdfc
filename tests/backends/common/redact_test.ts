import { assert, assertEquals, assertMatch } from "@std/assert";
import { redact, sharesPiece } from "../../../backends/common/redact.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";

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

const WRAPPED = OPAQUE.match(/.{1,4}/g)!;

const PIECES: [what: string, text: string][] = [
  ["without its first character", OPAQUE.slice(1)],
  ["its middle", `a ${OPAQUE.slice(5, 15)} b`],
  ["six characters of it", OPAQUE.slice(7, 13)],
  ["in two pieces", `${OPAQUE.slice(0, 9)} and ${OPAQUE.slice(9)}`],
  ["wrapped in lines", WRAPPED.join("\n")],
  ["wrapped in lines of JSON", JSON.stringify(WRAPPED.join("\r\n"))],
  ["as a list of characters", JSON.stringify([...OPAQUE])],
  ["with dashes", WRAPPED.join("-")],
  ["in base64", btoa(OPAQUE)],
  ["in base64 without padding, for URLs", btoa(`${OPAQUE}?>`).replace(/\+|\/|=/g, "-")],
  ["in base64 after one character", btoa(`:${OPAQUE}`)],
  ["in base64 after a scheme", btoa(`Bearer ${OPAQUE}`)],
  ["in base64, wrapped", btoa(`${OPAQUE}:x`).match(/.{1,10}/g)!.join("\n")],
  ["in base64 twice over", btoa(btoa(OPAQUE))],
  ["in base64 twice over, after a character", btoa(`:${btoa(`x${OPAQUE}`)}`)],
  ["in base64 twice over, a piece", btoa(btoa(OPAQUE)).slice(9, -9)],
  ["in hexadecimal", hex(OPAQUE)],
  ["in hexadecimal, upper case", hex(OPAQUE).toUpperCase()],
  ["in hexadecimal, both cases, after a digit", `f${hex(OPAQUE).replace(/^.{10}/, upper)}`],
  ["in hexadecimal, a piece of six characters", hex(OPAQUE.slice(4, 10))],
  ["in hexadecimal, a piece that begins within a character", hex(OPAQUE.slice(3, 11)).slice(1, -1)],
  ["in hexadecimal with colons", hex(OPAQUE).match(/../g)!.join(":")],
  ["as a dump", hex(OPAQUE).match(/.{8}/g)!.join("  ")],
  ["in hexadecimal in base64", btoa(hex(OPAQUE))],
  ["in base64 in hexadecimal", hex(btoa(OPAQUE))],
  ["a percent-encoded piece", percent(OPAQUE.slice(5, 13))],
  ["a percent-encoded piece, cut within a character", `${percent(OPAQUE.slice(5, 13))}%6`],
  ["percent-encoded in base64", btoa(percent(OPAQUE))],
];

function upper(text: string): string {
  return text.toUpperCase();
}

function hex(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

function percent(text: string): string {
  return text.replace(/./g, (each) => `%${hex(each)}`);
}

for (const [what, text] of PIECES) {
  Deno.test(`redact: a secret ${what}`, () => {
    const clean = redact(`it was ${text}, indeed`, [OPAQUE]);
    const letters = clean.replace(/[^a-z0-9]/gi, "");
    const forms = [OPAQUE, btoa(OPAQUE), btoa(`:${OPAQUE}`).slice(2), btoa(` ${OPAQUE}`).slice(2)];
    for (const form of forms) {
      for (let at = 0; at + 6 <= form.length; at++) {
        assertEquals(letters.includes(form.slice(at, at + 6)), false, clean);
      }
    }
    for (let at = 0; at + 6 <= OPAQUE.length; at++) {
      const piece = hex(OPAQUE.slice(at, at + 6));
      assertEquals(letters.toLowerCase().includes(piece), false, clean);
    }
    assertEquals([sharesPiece(text, [OPAQUE]), sharesPiece(clean, [OPAQUE])], [true, false]);
  });
}

Deno.test("redact: fewer than six characters say nothing, and stay", () => {
  assertEquals(redact(`it was ${OPAQUE.slice(3, 8)}`, [OPAQUE]), `it was ${OPAQUE.slice(3, 8)}`);
});

Deno.test("redact: six characters with a symbol among them", () => {
  assertEquals(redact("it was hvs.CA so", ["hvs.CAESIJ5cK0eTq"]), "it was [removed] so");
});

Deno.test("redact: a secret of symbols alone", () => {
  assertEquals(redact("it was $#!-#!$%, yes", ["$#!-#!$%"]), "it was [removed] yes");
});

Deno.test("redact: a long text with a long secret takes linear time", () => {
  const secret = crypto.randomUUID().repeat(550);
  const texts = ["\\", "%25", "&amp;", "&#0", "\\u", "a", " "].map((part) => part.repeat(60_000));
  const start = performance.now();
  for (const text of texts) redact(text, [secret]);
  assert(performance.now() - start < 10_000);
});

Deno.test("redact: of a secret longer than the text, each form is removed", () => {
  const secret = crypto.randomUUID().repeat(50);
  const piece = secret.slice(700, 730);
  for (const said of [piece, btoa(piece), encodeURIComponent(piece), hex(piece)]) {
    assertEquals(redact(`it was ${said} so`, [secret]), "it was [removed] so", said);
  }
  assertEquals(redact("it was nothing like it", [secret, "short"]), "it was nothing like it");
});
