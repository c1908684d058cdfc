// Several hosts that share one KV Connect server: processes with homes of their own.
import { KvCredentialsBackend } from "@validmind/auth";
import { assertEquals } from "@std/assert";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { type DenokvServer, startDenokv } from "../../support/servers/denokv_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { KEY, small } from "../../support/entries.ts";
import { withEnv } from "../../support/own_env.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("denokv");

const TOKEN = "DENO_KV_ACCESS_TOKEN";
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

interface Host {
  /** How wrong its clock is. */
  shiftMs?: number;
}

async function count({ url, accessToken }: DenokvServer, { shiftMs = 0 }: Host): Promise<void> {
  await using home = await tempDir();
  const flags = [
    `--allow-net=${new URL(url).host}`,
    `--allow-env=${TOKEN}`,
    "--unstable-kv",
  ];
  const { code, stderr } = await runDeno({
    code: COUNT,
    flags,
    args: [url, String(shiftMs)],
    timeoutMs: 300_000,
    env: {
      HOME: home.path,
      [TOKEN]: accessToken,
    },
  });
  // Deno tells there of every try that failed, which a restart makes.
  const complaints = stderr.split("\n")
    .filter((line) => line !== "" && !/^KV Connect .*failed to/.test(line));
  assertEquals(complaints, []);
  assertEquals(code, 0);
}

/** Lets hosts count all at once, and tells what they came to. `meanwhile` may read the number. */
async function countAll(
  server: DenokvServer,
  hosts: Host[],
  meanwhile: (read: () => Promise<number>) => Promise<void>,
): Promise<unknown> {
  return await withEnv({ [TOKEN]: server.accessToken }, async () => {
    const backend = new KvCredentialsBackend({ path: server.url });
    const read = async () => Number((await backend.get(KEY))?.n);
    await backend.put(KEY, { ...small("counter"), n: 0 });
    await Promise.all([...hosts.map((host) => count(server, host)), meanwhile(read)]);
    const n = await read();
    await backend.close();
    return n;
  });
}

live.test("hosts take turns whatever their clocks say, also when the server is killed and started", async () => {
  await using server = await startDenokv();
  const restart = async (read: () => Promise<number>) => {
    for (const kill of [1, 2, 3]) {
      while (await read() < kill * 10);
      await server.kill();
      await server.restart();
    }
  };
  const hosts = [{}, { shiftMs: DAY_MS }, { shiftMs: -DAY_MS }];
  assertEquals(await countAll(server, hosts, restart), hosts.length * STEPS);
});
