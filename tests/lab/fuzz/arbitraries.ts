import * as fc from "fast-check";
import { redact } from "../../../backends/common/redaction.ts";
import { SECRETS } from "../../support/entries.ts";

/** A secret that `assertNoSecret` knows. */
export const secret = fc.constantFrom(...Object.values(SECRETS));

/** A text without the secrets, for a parser that shows what it got. */
export function withoutSecrets(text: string): string {
  return redact(text, Object.values(SECRETS));
}

/** Texts that have broken parsers; names such as `__proto__` are among what fast-check makes itself. */
const SPECIAL = fc.constantFrom(
  "\x1b[2J\x1b]0;x\x07",
  "\u202e\u2028\ufeff",
  "\ud800",
  "null",
  "NaN",
  "-0",
  "1e999",
  "2099-01-01T00:00:00Z",
  "9".repeat(400),
  "../../../etc/passwd",
  "http://localhost.evil.example",
  "https://user:pass@host/?a=1#b",
  "javascript:alert(1)",
  "${HOME}",
  "\\|",
);

const REPEATED = fc.tuple(
  fc.constantFrom("/", "|", "%25", "&amp;", "\\u", "[", "{", '"', "a", " ", "=", ".", "-", "\t"),
  fc.integer({ min: 100, max: 20_000 }),
).map(([part, count]) => part.repeat(count));

/** Any text, often a hostile one. */
export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 4, arbitrary: fc.string({ maxLength: 60 }) },
  { weight: 3, arbitrary: SPECIAL },
  { weight: 1, arbitrary: REPEATED },
  { weight: 1, arbitrary: secret },
);

/** A text of several pieces. */
export const texts: fc.Arbitrary<string> = fc.array(text, { maxLength: 4 })
  .map((parts) => parts.join(""));

/** Any value of JSON, often of the wrong kind. */
export const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: text },
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, 0.1, [], {}, [null]),
  },
  { weight: 2, arbitrary: fc.array(text, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

/** An object with some fields exchanged, some left out, and some added. */
export function variant(base: Readonly<Record<string, unknown>>, more: readonly string[] = []) {
  const names = fc.constantFrom(...Object.keys(base), ...more);
  return fc.tuple(
    fc.dictionary(fc.oneof({ weight: 6, arbitrary: names }, text), value, { maxKeys: 3 }),
    fc.array(names, { maxLength: 2 }),
  ).map(([changed, left]) => {
    const all = Object.entries(base).filter(([name]) => !left.includes(name));
    return Object.fromEntries([...all, ...Object.entries(changed)]);
  });
}

/** A text with a piece of it taken out or exchanged. */
export function damaged(whole: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(whole, fc.nat(), fc.nat(20), text).map(([original, place, length, instead]) => {
    const at = place % (original.length + 1);
    return original.slice(0, at) + instead + original.slice(at + length);
  });
}

/** The JSON of such objects: whole, damaged, or something else. */
export function json(of: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const whole = of.map((one) => JSON.stringify(one) ?? "");
  return fc.oneof(
    { weight: 6, arbitrary: whole },
    { weight: 3, arbitrary: damaged(whole) },
    { weight: 1, arbitrary: texts },
  );
}

/** An HTTP answer. */
export interface HttpAnswer {
  status: number;
  body: string;
  headers: Record<string, string>;
}

const HEADER_VALUE = fc.oneof(
  fc.constantFrom("0", "-1", "1e9", "120", "Sun, 01 Mar 2026 12:00:00 GMT", "soon", "text/html"),
  fc.string({ maxLength: 30 }).map((value) => value.replace(/[^\x20-\x7e]/g, "")),
);

/** The usual ones come more often. */
const STATUSES = "200 200 200 200 201 204 302 400 400 401 403 404 428 429 503".split(" ").map(
  Number,
);

/** An answer with such a body, mostly of a status that a provider gives. */
export function httpAnswer(body: fc.Arbitrary<string>): fc.Arbitrary<HttpAnswer> {
  return fc.record({
    status: fc.constantFrom(...STATUSES),
    body,
    headers: fc.dictionary(
      fc.constantFrom("date", "retry-after", "content-type", "location", "dpop-nonce"),
      HEADER_VALUE,
      { maxKeys: 3 },
    ),
  });
}

export function toResponse({ status, body, headers }: HttpAnswer): Response {
  const hasBody = ![204, 302, 304].includes(status);
  return new Response(hasBody ? body : null, {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}
