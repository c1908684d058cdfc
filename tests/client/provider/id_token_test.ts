import { judgedSkew } from "../../../client/provider/id_token.ts";
import { providerSkew } from "../../../client/provider/fetch.ts";
import * as oauth from "oauth4webapi";
import { dpopHandle, generateDpopKey, importDpopKey } from "../../../client/provider/dpop_key.ts";
import { replace } from "../../support/replace.ts";
import { runDeno } from "../../support/deno_process.ts";
import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";

Deno.test("the provider's clock: a Date within a day first, then an iat within 15 minutes", () => {
  const now = Date.parse("2026-03-01T12:00:00.400Z");
  using _ = replace(Date, "now", () => now);
  const [date, at] = ["Sun, 01 Mar 2026 13:00:00 GMT", Math.round(now / 1000)];
  assertEquals(providerSkew(date, at), 3600);
  assertEquals([400, 900].map((ahead) => providerSkew("soon", at + ahead)), [400, 900]);
  assertEquals([900, -901, undefined].map(judgedSkew), [900, 0, 0]);
  for (const iat of [at + 901, at - 901, 9e15, "x", undefined, NaN]) {
    assertEquals(providerSkew(null, iat), undefined);
  }
  assertEquals(providerSkew("Mon, 02 Mar 2026 13:00:00 GMT", at), undefined);
});

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
  const others = [{ ...jwk, d: 5 }, { ...jwk, kty: "RSA" }];
  for (const none of [undefined, null, 5, "text", [], {}, open, ...others]) {
    assertEquals(await importDpopKey(none), undefined);
  }
});

Deno.test("dpop proofs: a key has one maker, until the provider's clock is off by over 2 s", async () => {
  const { pair } = await generateDpopKey();
  const makers = [undefined, -2, 2, undefined, 3, 1, undefined, -2].map((skew) =>
    dpopHandle(oauth, pair, skew)
  );
  assertEquals(makers.map((maker) => makers.indexOf(maker)), [0, 0, 0, 0, 4, 4, 4, 7]);
});

Deno.test("the person is read without the base64 functions of newer Denos", async () => {
  const module = new URL("../../../client/entry/bearer.ts", import.meta.url).href;
  const { stdout, stderr } = await runDeno({
    code: `
      delete Uint8Array.fromBase64;
      delete Uint8Array.prototype.toBase64;
      const { readClaims } = await import(${JSON.stringify(module)});
      console.log(JSON.stringify(readClaims(Deno.args[0])));
    `,
    args: [
      `e30.${new TextEncoder().encode('{"sub":"ä?>"}').toBase64({ alphabet: "base64url" })}.x`,
    ],
  });
  assertEquals([stdout.trim(), stderr], ['{"sub":"ä?>"}', ""]);
});
