import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { generateDpopKey, importDpopKey } from "../../../client/provider/dpop_key.ts";

Deno.test("dpop key: the stored one is the same key, each new one another, and none can be read", async () => {
  const { jwk, pair } = await generateDpopKey();
  assertEquals(Object.keys(jwk), ["kty", "crv", "x", "y", "d"]);
  const again = await importDpopKey(JSON.parse(JSON.stringify(jwk)));
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const data = new TextEncoder().encode("data");
  const signature = await crypto.subtle.sign(algorithm, again!.privateKey, data);
  assertEquals(await crypto.subtle.verify(algorithm, pair.publicKey, signature, data), true);
  for (const { privateKey } of [pair, again!]) {
    await assertRejects(() => crypto.subtle.exportKey("jwk", privateKey));
  }
  assertNotEquals((await generateDpopKey()).jwk.x, jwk.x);
  const { d: _, ...open } = jwk;
  for (
    const none of [undefined, null, 5, "text", [], {}, open, { ...jwk, d: 5 }, {
      ...jwk,
      kty: "RSA",
    }]
  ) {
    assertEquals(await importDpopKey(none), undefined);
  }
});
