import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { printable, safeCause } from "../../../backends/common/printable.ts";

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
