import { assert, assertEquals } from "@std/assert";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { createSession } from "../../../client/create_session.ts";
import { startHttpServer } from "../../support/http_server.ts";
import type { ScriptedProvider, ScriptHandler } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const MIB = 1024 * 1024;

/** What a sign-in or a refresh asks, and what happens where the answer is unusable. */
const STEPS = ["discovery", "device", "token", "jwks"] as const;

/** Runs a sign-in against one bad answer; of a poll, one follows the other until the code ends. */
async function attacked(
  world: ProviderWorld<ScriptedProvider>,
  step: typeof STEPS[number],
  answer: ScriptHandler,
  options: Partial<ProviderWorld<ScriptedProvider>["options"]> = {},
): Promise<void> {
  for (let time = 0; time < 20; time++) world.provider.script[step].push(answer);
  const code = step === "token" ? "device_code_expired" : "provider_unavailable";
  await rejectsWith(code, () => createSession({ ...world.options, ...options }));
  assertEquals(world.backend.get(world.key), undefined);
}

for (const status of [301, 302, 303, 307, 308]) {
  for (const step of STEPS) {
    Deno.test(`attack: redirect with ${status} from ${step}: not followed`, async () => {
      let arrived = 0;
      await using elsewhere = await startHttpServer(() => {
        arrived++;
        return Response.json({});
      });
      await using world = await scriptedProviderWorld({ deviceCodeTtl: 5 });
      const headers = { location: `${elsewhere.origin}/token` };
      await attacked(world, step, () => new Response(null, { status, headers }));
      assertEquals(arrived, 0);
    });
  }

  Deno.test(`attack: redirect with ${status} from a refresh: the token goes nowhere`, async () => {
    let arrived = 0;
    await using elsewhere = await startHttpServer(() => {
      arrived++;
      return Response.json({});
    });
    await using world = await scriptedProviderWorld();
    const session = await createSession(world.options);
    const before = world.stored();
    const headers = { location: `${elsewhere.origin}/token` };
    world.provider.script.token.push(() => new Response(null, { status, headers }));
    const run = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("provider_unavailable", run, "redirects elsewhere");
    assertEquals([arrived, world.stored()], [0, before]);
  });
}

for (const name of ["device_authorization_endpoint", "token_endpoint", "jwks_uri"]) {
  for (const origin of ["http://login.example.com", "http://127.0.0.1:8080"]) {
    Deno.test(`attack: https discovery names ${name} at ${origin}: refused, nobody asked`, async () => {
      const issuer = "https://login.example.com";
      await using world = await scriptedProviderWorld({
        issuer,
        discovery: { [name]: `${origin}/x` },
      });
      const fetch = spyFetch(world.provider.fetch);
      const run = () => createSession({ ...world.options, fetch });
      await rejectsWith("insecure_url", run, issuer, name, origin);
      assertEquals([paths(world.provider.requests), world.codes], [
        ["/.well-known/openid-configuration"],
        [],
      ]);
      assertEquals(fetch.urls.length, 1);
    });
  }
}

Deno.test("attack: https discovery names a revocation endpoint on http: nothing goes there", async () => {
  const issuer = "https://login.example.com";
  const revocation_endpoint = "http://login.example.com/revoke";
  await using world = await scriptedProviderWorld({ issuer, discovery: { revocation_endpoint } });
  const fetch = spyFetch(world.provider.fetch);
  const session = await createSession({ ...world.options, fetch });
  const result = await session.clear({ revoke: true });
  assertEquals([result.revocation, fetch.urls.includes(revocation_endpoint)], ["failed", false]);
});

/** A fetch that counts the bytes that are read of answers, after decompression. */
function counting(): { fetch: typeof fetch; read: () => number } {
  let bytes = 0;
  return {
    read: () => bytes,
    fetch: spyFetch(async (url, init) => {
      const response = await fetch(url, init);
      const body = response.body?.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            bytes += chunk.length;
            controller.enqueue(chunk);
          },
        }),
      );
      return new Response(body, response);
    }),
  };
}

const BOMBS: [encoding: string, bomb: Uint8Array<ArrayBuffer>][] = [
  ["gzip", new Uint8Array(gzipSync(new Uint8Array(100 * MIB)))],
  [
    "br",
    new Uint8Array(brotliCompressSync(new Uint8Array(100 * MIB), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    })),
  ],
];

for (const [encoding, bomb] of BOMBS) {
  for (const step of STEPS) {
    Deno.test(`attack: 100 MiB, sent as ${bomb.length} bytes of ${encoding}, from ${step}: cut off`, async () => {
      await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
      const headers = { "content-encoding": encoding, "content-type": "application/json" };
      const { fetch, read } = counting();
      await attacked(world, step, () => new Response(bomb, { headers }), { fetch });
      const tries = step === "jwks" ? 3 : step === "token" ? 2 : 1;
      assert(read() > 4 * MIB && read() < tries * 8 * MIB, `${read()} bytes`);
    });
  }
}

for (const step of STEPS) {
  Deno.test(`attack: 100 MiB from ${step}: cut off`, async () => {
    await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
    let sent = 0;
    const answer = () => {
      const chunk = new Uint8Array(MIB).fill(32);
      let left = 100;
      return new Response(
        new ReadableStream<Uint8Array>({
          pull(controller) {
            if (left-- === 0) return controller.close();
            sent += chunk.length;
            controller.enqueue(chunk);
          },
        }),
      );
    };
    await attacked(world, step, answer);
    const tries = step === "jwks" ? 3 : step === "token" ? 2 : 1;
    assert(sent < tries * 30 * MIB, `${sent} bytes`); // with what the sockets hold
  });

  Deno.test(`attack: a body that comes in drops without end from ${step}: cut off in time`, async () => {
    await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
    const drops: Promise<unknown>[] = [];
    let isOver = false;
    const answer: ScriptHandler = () => {
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const drop = new Promise((resolve) => setTimeout(resolve, 5));
          drops.push(drop);
          await drop;
          if (isOver) return controller.close();
          controller.enqueue(new Uint8Array([32]));
        },
      });
      return new Response(body);
    };
    await attacked(world, step, answer, { timeoutMs: 500 });
    isOver = true; // also for a server that has not noticed yet that nobody reads
    await Promise.all(drops);
  });

  Deno.test(`attack: JSON of a million brackets from ${step}: no crash`, async () => {
    await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
    const text = "[".repeat(1_000_000) + "]".repeat(1_000_000);
    await attacked(world, step, () => new Response(`{"a":${text}`));
  });
}
