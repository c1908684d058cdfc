import { assertEquals } from "@std/assert";
import { runDeno } from "../../support/deno_process.ts";

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
