import { assertEquals, assertRejects } from "@std/assert";
import { type FaultyProxy, type NetworkFault, startFaultyProxy } from "./faulty_proxy.ts";

/** Asks a server behind the proxy, with one fault; gives its answer and the number of its requests. */
async function withFault(
  fault: NetworkFault,
  fn: (ask: () => Promise<string>, proxy: FaultyProxy) => Promise<void>,
): Promise<number> {
  let requests = 0;
  await using server = Deno.serve({ port: 0, onListen: () => {} }, () => {
    requests++;
    return new Response("whole answer");
  });
  await using proxy = startFaultyProxy(() => server.addr.port);
  proxy.choose = () => fault;
  using client = Deno.createHttpClient({});
  // POST: a GET would be sent again by fetch itself.
  const ask = async () => {
    const body = new Blob(["request"]);
    const answer = await fetch(`http://${proxy.address}`, { method: "POST", body, client });
    return await answer.text();
  };
  await fn(ask, proxy);
  return requests;
}

Deno.test("a proxy without a fault hands everything on", async () => {
  const requests = await withFault("none", async (ask, proxy) => {
    assertEquals(await ask(), "whole answer");
    assertEquals(proxy.met.none, 1);
  });
  assertEquals(requests, 1);
});

for (
  const [fault, handedOn] of [["cut before", 0], ["answer lost", 1], ["answer cut", 1]] as const
) {
  Deno.test(`a proxy with the fault "${fault}" gives no whole answer`, async () => {
    const requests = await withFault(fault, async (ask) => {
      await assertRejects(ask);
    });
    assertEquals(requests, handedOn);
  });
}
