import { KvCredentialsBackend } from "@validmind/auth";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { startHttpServer } from "../../../support/http_server.ts";
import { startDenokv } from "../../../support/servers/denokv_server.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { KEY } from "../../../support/entries.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("denokv");

const TOKEN = "DENO_KV_ACCESS_TOKEN";
const server = await live.shared(() => startDenokv());
live.afterAll(async () => await server[Symbol.asyncDispose]());

testCredentialsBackend(
  "kv on a server",
  () => new KvCredentialsBackend({ path: server.url }),
  {
    broken: () => new KvCredentialsBackend({ path: `http://127.0.0.1:${freePort()}` }),
    permissions: live.ignore ? "none" : { net: [new URL(server.url).host], env: [TOKEN] },
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
