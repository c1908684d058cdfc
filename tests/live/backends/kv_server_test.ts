import { KvCredentialsBackend } from "@validmind/auth";
import { testCredentialsBackend } from "@validmind/auth/testing";
import { assertEquals } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { KEY, small } from "../../support/entries.ts";
import { startHttpServer } from "../../support/http_server.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { type DenokvServer, startDenokv } from "../../support/servers/denokv_server.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { tempDir } from "../../support/temp_home.ts";

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

const DAY_MS = 86_400_000;
const STEPS = 15;

/** Adds to a number under the lock; that it is read and written apart shows what no lock loses. */
const COUNT = `
  const [path, shift] = Deno.args;
  const now = Date.now;
  Date.now = () => now() + Number(shift);
  const { KvCredentialsBackend } = await import("${backendUrl("kv.ts")}");
  const backend = new KvCredentialsBackend({ path });
  for (let step = 0; step < ${STEPS}; step++) {
    await backend.withLock("${KEY}", async () => {
      const entry = await backend.get("${KEY}");
      await backend.put("${KEY}", { ...entry, n: entry.n + 1 });
    });
  }
  await backend.close();
`;

/** Counts by a process with a home of its own, whose clock is wrong by so much. */
async function count({ url, accessToken }: DenokvServer, shiftMs: number): Promise<void> {
  await using home = await tempDir();
  const { code, stderr } = await runDeno({
    code: COUNT,
    flags: [`--allow-net=${new URL(url).host}`, `--allow-env=${TOKEN}`, "--unstable-kv"],
    args: [url, String(shiftMs)],
    timeoutMs: 300_000,
    env: { HOME: home.path, [TOKEN]: accessToken },
  });
  // Deno tells there of every try that failed, which a restart makes.
  const complaints = stderr.split("\n")
    .filter((line) => line !== "" && !/^KV Connect .*failed to/.test(line));
  assertEquals([complaints, code], [[], 0]);
}

live.test("hosts take turns whatever their clocks say, also when the server is killed and started", async () => {
  await using server = await startDenokv();
  const backend = new KvCredentialsBackend({ path: server.url });
  const read = async () => Number((await backend.get(KEY))?.n);
  await backend.put(KEY, { ...small("counter"), n: 0 });
  const restart = async () => {
    for (const kill of [1, 2, 3]) {
      while (await read() < kill * 10);
      await server.kill();
      await server.restart();
    }
  };
  const hosts = [0, DAY_MS, -DAY_MS];
  await Promise.all([...hosts.map((shiftMs) => count(server, shiftMs)), restart()]);
  assertEquals(await read(), hosts.length * STEPS);
  await backend.close();
});
