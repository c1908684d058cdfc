import { formatPermissionFlags, KvCredentialsBackend } from "@validmind/auth";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { KvStore } from "../../../../backends/kv/store.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { assert, assertEquals } from "@std/assert";
import { startHttpServer } from "../../../support/http_server.ts";
import { backendUrl, runDeno, type RunDenoOptions } from "../../../support/deno_process.ts";
import { startDenokv } from "../../../support/servers/denokv_server.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { entry, KEY } from "../../../support/entries.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("denokv");

/** Longer than an answer counts. */
const STALE_MS = 2000;
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

/** Runs code that has `backend`, under exactly the flags that the backend asks for. */
async function run(code: string, options: RunDenoOptions = {}): Promise<string> {
  const flags = formatPermissionFlags(
    new KvCredentialsBackend({ path: server.url }).requiredPermissions(),
  ).split(" ");
  const { stdout, stderr } = await runDeno({
    code: `
      import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
      const backend = new KvCredentialsBackend({ path: "${server.url}", timeoutMs: 500 });
      ${code}
      await backend.close();`,
    flags: ["--unstable-kv", ...flags],
    env: { [TOKEN]: server.accessToken },
    ...options,
  });
  assertEquals(stderr, "");
  return stdout.trim();
}

live.test("what is no KV server is an error at once, and no token that it echoes is shown", async () => {
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
  const stdout = await run(`
    const entry = { issuer: "i", client_id: "c", access_token: "t", fill: "f".repeat(60_000) };
    await backend.withLock("k", () => backend.put("k", entry));
    console.log((await backend.get("k")).fill.length, (await Array.fromAsync(backend.list())).length);
    await backend.delete("k");
    console.log(await backend.get("k"));`);
  assertEquals(stdout, "60000 1\nundefined");
});

live.test("a KV server with another access token is backend_auth_failed", async () => {
  const code = `console.log(await backend.get("k").catch(({ code, message }) => code + message));`;
  const stdout = await run(code, { env: { [TOKEN]: "another-token" } });
  assert(stdout.startsWith("backend_auth_failed") && !stdout.includes("another-token"), stdout);
});

for (const when of ["from the start", "later"]) {
  // Deno goes on with an operation that was given up, until its server has died.
  const sanitizeOps = when === "from the start";
  live.test(`a KV server that is silent ${when} is backend_timeout`, { sanitizeOps }, async () => {
    await using silent = await startDenokv();
    const clock = new FakeClock();
    const options = { path: silent.url, lockTimeoutMs: 1000, timeoutMs: 300, timer: clock };
    const open = () => KvStore.open(options);
    const store = when === "later" ? await open() : undefined;
    clock.advance(STALE_MS);
    await silent.pause();
    const use = store === undefined ? open : () => store.get(KEY);
    await rejectsWith("backend_timeout", use, silent.url.slice(7), "no answer within");
    store?.close();
  });
}

live.test("a KV server that is back in time is no error for who used it before", async () => {
  await using other = await startDenokv();
  const [clock, first] = [new FakeClock(), new FakeClock()];
  const options = { path: other.url, lockTimeoutMs: 1000, timeoutMs: 10_000 };
  const store = await KvStore.open({ ...options, timer: clock });
  await store.put(KEY, entry());
  await other.kill();
  const open = () => KvStore.open({ ...options, timer: first });
  await rejectsWith("backend_unavailable", open, other.url.slice(7));
  assertEquals(first.delays, [50, 100, 200, 400, 800]);
  clock.advance(STALE_MS);
  clock.onDelay = async (count) => {
    if (count === 6) await other.restart(); // later than a new process would wait
  };
  assertEquals(await store.get(KEY), entry());
  assertEquals(clock.delays, [50, 100, 200, 400, 800, 1000]);
  store.close();
});
