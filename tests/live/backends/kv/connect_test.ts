import { formatPermissionFlags, KvCredentialsBackend } from "@validmind/auth";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { KvStore } from "../../../../backends/kv/store.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { assertEquals } from "@std/assert";
import { startHttpServer } from "../../../support/http_server.ts";
import { backendUrl, runDeno } from "../../../support/deno_process.ts";
import { startDenokv } from "../../../support/servers/denokv_server.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { KEY } from "../../../support/entries.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("denokv");

const TOKEN = "DENO_KV_ACCESS_TOKEN";
const port = freePort();
const server = await live.shared(() => startDenokv({ port }));
live.afterAll(async () => await server[Symbol.asyncDispose]());

testCredentialsBackend(
  "kv on a server",
  () => new KvCredentialsBackend({ path: server.url }),
  {
    broken: () => new KvCredentialsBackend({ path: `http://127.0.0.1:${freePort()}` }),
    permissions: { net: [`127.0.0.1:${port}`], env: [TOKEN] },
    ignore: live.ignore,
  },
);

// Deno 2.7 asks such a server for ever, and the process of the test never ends.
const ignore = Deno.version.deno.startsWith("2.7.");
live.test("what is no KV server is an error at once, and no token that it echoes is shown", {
  ignore,
}, async () => {
  const answers = [
    (token: string) => new Response(token, { status: 404 }),
    (token: string) => Response.json({ version: token }),
    (token: string) => new Response(null, { status: 302, headers: { location: `/${token}` } }),
  ];
  for (const answer of answers) {
    await using other = await startHttpServer((request) =>
      answer(request.headers.get("authorization")!)
    );
    const backend = new KvCredentialsBackend({ path: other.origin });
    const error = await rejectsWith("backend_unavailable", () => backend.get(KEY), "no KV Connect");
    assertNoSecret(error, [server.accessToken]);
    await backend.close();
  }
});

live.test("a KV server is used under exactly the flags that are declared", async () => {
  const needs = new KvCredentialsBackend({ path: server.url }).requiredPermissions();
  const code = `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    const backend = new KvCredentialsBackend({ path: "${server.url}" });
    const entry = { issuer: "i", client_id: "c", access_token: "t", fill: "f".repeat(60_000) };
    await backend.withLock("k", () => backend.put("k", entry));
    console.log((await backend.get("k")).fill.length, (await Array.fromAsync(backend.list())).length);
    await backend.delete("k");
    await backend.close();`;
  const flags = ["--unstable-kv", ...formatPermissionFlags(needs).split(" ")];
  const result = await runDeno({ code, flags, env: { [TOKEN]: server.accessToken } });
  assertEquals(result, { code: 0, stdout: "60000 1\n", stderr: "" });
});

// Deno goes on with an operation that was given up, until its server has died.
live.test("a KV server that falls silent is backend_timeout", { sanitizeOps: false }, async () => {
  await using silent = await startDenokv();
  const clock = new FakeClock();
  const options = { path: silent.url, lockTimeoutMs: 1000, timeoutMs: 300, timer: clock };
  const store = await KvStore.open(options);
  clock.advance(2000); // an answer counts for less
  await silent.pause();
  await rejectsWith("backend_timeout", () => store.get(KEY), silent.url.slice(7), "no answer");
  store.close();
});
