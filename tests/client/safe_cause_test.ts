import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { safeCause } from "../../client/safe_cause.ts";

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
