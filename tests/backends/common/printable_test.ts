import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  parseObject,
  parseRetryAfter,
  printable,
  safeCause,
  sameJson,
} from "../../../backends/common/printable.ts";

Deno.test("printable: control and format characters become one space, up to the limit", () => {
  assertEquals(printable("a\x1b[31mb\x07\r\nc"), "a [31mb c");
  assertEquals(printable("a\u202eb\u2028c\u200bd\x9be\x7f"), "a b c d e");
  assertEquals(printable("Grüße, 東京"), "Grüße, 東京");
  assertEquals(printable("x".repeat(200)), "x".repeat(200));
  assertEquals(printable("x".repeat(201)), `${"x".repeat(200)}…`);
  assertEquals(printable("abcdef", 3), "abc…");
});

/** What HTTP clients throw: an error that has the request on it. */
class ClientError extends Error {
  override name = "ClientError";
  readonly request = { body: "refresh_token=a-secret" };
}

Deno.test("safeCause keeps the runtime's own bare errors, and drops what may hold a request", () => {
  const kept = [
    new TypeError("error sending request"),
    new DOMException("too late", "TimeoutError"),
    new Deno.errors.ConnectionRefused("refused"),
    new Deno.errors.NotCapable("no"),
    Object.assign(new Deno.errors.ConnectionReset("reset"), { code: "ECONNRESET" }),
  ];
  for (const error of kept) assertEquals(safeCause(error), { cause: error });
  const dropped: unknown[] = [
    new ClientError("failed"),
    new Error("failed"),
    Object.assign(new TypeError("failed"), { request: {} }),
    new TypeError("fetch failed", { cause: new ClientError("x") }),
    Object.assign(new Deno.errors.Http("x"), { init: {} }),
    { body: "refresh_token=a-secret" },
    "a-secret",
    undefined,
  ];
  for (const thrown of dropped) assertEquals(safeCause(thrown), {}, String(thrown));
});

Deno.test("safeCause tells why Deno's own fetch failed", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(() => fetch(`http://127.0.0.1:${port}/`), TypeError);
  assertStringIncludes(Deno.inspect(safeCause(error)), "client error (Connect)");
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
