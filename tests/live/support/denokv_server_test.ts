import { assertEquals, assertNotEquals } from "@std/assert";
import { runDeno } from "../../support/deno_process.ts";
import { type DenokvServer, startDenokv } from "../../support/servers/denokv_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("denokv");

async function evaluate(server: DenokvServer, code: string) {
  const { stdout, stderr } = await runDeno({
    code: `const kv = await Deno.openKv("${server.url}"); ${code}; kv.close();`,
    flags: ["-A", "--unstable-kv"],
    env: { DENO_KV_ACCESS_TOKEN: server.accessToken },
  });
  assertEquals(stderr, "");
  return stdout.trim();
}

live.test("denokv keeps what it was given over a kill", async () => {
  await using server = await startDenokv();
  await evaluate(server, `await kv.set(["a"], "kept")`);
  await server.kill();
  await server.restart();
  assertEquals(await evaluate(server, `console.log((await kv.get(["a"])).value)`), "kept");
});

live.test("denokv refuses who does not have its access token", async () => {
  await using server = await startDenokv({ accessToken: "0123456789ab" });
  const headers = { authorization: "Bearer ba9876543210" };
  const response = await fetch(server.url, {
    method: "POST",
    headers,
    body: JSON.stringify({ supportedVersions: [3] }),
  });
  await response.body?.cancel();
  assertEquals(response.status, 401);
});

live.test("each denokv has a database and an address of its own", async () => {
  await using one = await startDenokv();
  await using two = await startDenokv();
  assertNotEquals(one.url, two.url);
  await evaluate(one, `await kv.set(["a"], 1)`);
  assertEquals(await evaluate(two, `console.log((await kv.get(["a"])).value)`), "null");
});
