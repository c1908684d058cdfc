import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { generateDpopKey, importDpopKey } from "../../../client/provider/dpop_key.ts";

Deno.test("dpop key: what is stored gives the same key back, after JSON too", async () => {
  const { jwk, pair } = await generateDpopKey();
  assertEquals(Object.keys(jwk), ["kty", "crv", "x", "y", "d"]);
  const again = await importDpopKey(JSON.parse(JSON.stringify(jwk)));
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const data = new TextEncoder().encode("data");
  const signature = await crypto.subtle.sign(algorithm, again!.privateKey, data);
  assertEquals(await crypto.subtle.verify(algorithm, pair.publicKey, signature, data), true);
});

Deno.test("dpop key: in use, the private key cannot be read", async () => {
  const { pair } = await generateDpopKey();
  await assertRejects(() => crypto.subtle.exportKey("jwk", pair.privateKey));
});

Deno.test("dpop key: each is another", async () => {
  assertNotEquals((await generateDpopKey()).jwk.x, (await generateDpopKey()).jwk.x);
});

Deno.test("dpop key: what is none is undefined", async () => {
  const { jwk } = await generateDpopKey();
  const { d: _, ...open } = jwk;
  const others = [{ ...jwk, d: 5 }, { ...jwk, kty: "RSA" }, open];
  for (const value of [undefined, null, 5, "text", [], {}, ...others]) {
    assertEquals(await importDpopKey(value), undefined);
  }
});
