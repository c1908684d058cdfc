import { assertEquals } from "@std/assert";
import { subjectOf } from "../../../client/provider/refresh_grant.ts";
import { makeSigningKey, signJwt } from "../../support/jwt.ts";
import { runDeno } from "../../support/deno_process.ts";

Deno.test("subjectOf: the person of the ID token; unknown where it names none; nobody without one", async () => {
  const key = await makeSigningKey();
  const person = { iss: "i", sub: "s", nonce: "n" };
  const id_token = await signJwt({ ...person, name: "S" }, key);
  assertEquals(subjectOf({ id_token } as never), person);
  for (const id_token of [await signJwt({ sub: 5 }, key), "opaque", "a.bnVsbA.c"]) {
    assertEquals(subjectOf({ id_token } as never), "unknown");
  }
  for (const id_token of [null, "", undefined]) {
    assertEquals(subjectOf({ id_token } as never), undefined);
  }
});

Deno.test("the person is read without the base64 functions of newer Denos", async () => {
  const module = new URL("../../../client/provider/refresh_grant.ts", import.meta.url).href;
  const { stdout, stderr } = await runDeno({
    code: `
      delete Uint8Array.fromBase64;
      delete Uint8Array.prototype.toBase64;
      const { subjectOf } = await import(${JSON.stringify(module)});
      console.log(JSON.stringify(subjectOf({ id_token: Deno.args[0] })));
    `,
    args: [
      `e30.${new TextEncoder().encode('{"sub":"ä?>"}').toBase64({ alphabet: "base64url" })}.x`,
    ],
  });
  assertEquals([stdout.trim(), stderr], ['{"sub":"ä?>"}', ""]);
});
