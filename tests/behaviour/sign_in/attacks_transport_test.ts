import { assert, assertEquals } from "@std/assert";
import { gzipSync } from "node:zlib";
import { hang, startHttpServer } from "../../support/http_server.ts";
import type { ScriptedProvider, ScriptHandler } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import {
  type ProviderWorld,
  renew,
  scriptedProviderWorld,
  type ScriptedWorld,
} from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const MIB = 1024 * 1024;

/** What a sign-in or a refresh asks, and what happens where the answer is unusable. */
const STEPS = ["discovery", "device", "token", "jwks"] as const;

/** Runs a sign-in against one bad answer; of a poll, one follows the other until the code ends. */
async function attacked(
  world: ScriptedWorld,
  step: typeof STEPS[number],
  answer: ScriptHandler,
  options: Partial<ProviderWorld<ScriptedProvider>["options"]> = {},
): Promise<void> {
  for (let time = 0; time < 20; time++) world.provider.script[step].push(answer);
  const code = step === "token" ? "device_code_expired" : "provider_unavailable";
  await rejectsWith(code, () => world.signIn({ ...options }));
  assertEquals(world.backend.get(world.key), undefined);
}

for (const step of [...STEPS, "refresh"] as const) {
  Deno.test(`attack: a redirect from ${step}: not followed`, async () => {
    let arrived = 0;
    await using elsewhere = await startHttpServer(() => {
      arrived++;
      return Response.json({});
    });
    const headers = { location: `${elsewhere.origin}/token` };
    for (const status of [301, 302, 303, 307, 308]) {
      await using world = await scriptedProviderWorld({ deviceCodeTtl: 5 });
      const redirect = () => new Response(null, { status, headers });
      if (step !== "refresh") {
        await attacked(world, step, redirect);
        continue;
      }
      const session = await world.signIn();
      const before = world.stored();
      world.provider.script.token.push(redirect);
      await rejectsWith("provider_unavailable", () => renew(session), "redirects elsewhere");
      assertEquals(world.stored(), before);
    }
    assertEquals(arrived, 0);
  });
}

for (const name of ["device_authorization_endpoint", "token_endpoint", "jwks_uri"]) {
  Deno.test(`attack: https discovery names ${name} at http: refused, nobody asked`, async () => {
    const issuer = "https://login.example.com";
    for (const origin of ["http://login.example.com", "http://127.0.0.1:8080"]) {
      const discovery = { [name]: `${origin}/x` };
      await using world = await scriptedProviderWorld({ issuer, discovery });
      const fetch = spyFetch(world.provider.fetch);
      await rejectsWith("insecure_url", () => world.signIn({ fetch }), issuer, name, origin);
      assertEquals(world.codes, []);
      assertEquals(paths(world.provider.requests), ["/.well-known/openid-configuration"]);
      assertEquals(fetch.urls.length, 1);
    }
  });
}

Deno.test("attack: https discovery names a revocation endpoint on http: nothing goes there", async () => {
  const issuer = "https://login.example.com";
  const revocation_endpoint = "http://login.example.com/revoke";
  await using world = await scriptedProviderWorld({ issuer, discovery: { revocation_endpoint } });
  const fetch = spyFetch(world.provider.fetch);
  const session = await world.signIn({ fetch });
  const result = await session.clear({ revoke: true });
  assertEquals([result.revocation, fetch.urls.includes(revocation_endpoint)], ["failed", false]);
});

const BOMB = new Uint8Array(gzipSync(new Uint8Array(32 * MIB)));
const NESTED = `{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`;

/** Answers that are too much. */
const TOO_MUCH: [what: string, answer: ScriptHandler][] = [
  [
    "32 MiB in gzip",
    () =>
      new Response(BOMB, {
        headers: { "content-encoding": "gzip", "content-type": "application/json" },
      }),
  ],
  ["a million brackets", () => new Response(NESTED)],
  ["nothing", hang],
  ["a body that never ends", () => new Response(endless())],
];

/** One byte, and then nothing more. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([32])) });
}

for (const step of STEPS) {
  Deno.test(`attack: ${step} answers with too much: it is cut off`, async () => {
    for (const [what, answer] of TOO_MUCH) {
      await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
      let bytes = 0;
      const fetch = spyFetch(async (url, init) => {
        const response = await globalThis.fetch(url, init);
        const count = new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            bytes += chunk.length; // after decompression
            controller.enqueue(chunk);
          },
        });
        return new Response(response.body?.pipeThrough(count), response);
      });
      await attacked(world, step, answer, { fetch, timeoutMs: 300 });
      const tries = step === "jwks" ? 3 : step === "token" ? 2 : 1;
      assert(bytes < tries * 8 * MIB, `${what}: ${bytes} bytes`);
    }
  });
}
