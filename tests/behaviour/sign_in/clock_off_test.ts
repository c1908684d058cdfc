import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { readClaims } from "../../../client/entry.ts";
import { json } from "../../support/http_server.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const MINUTE = 60_000;

/** Answers without a Date header, as of Keycloak. */
const dateless = spyFetch(async (url, init) => {
  const { status, headers: received, body } = await fetch(url, init);
  const headers = new Headers(received);
  headers.delete("date");
  return new Response(body, { status, headers });
});

/** Tokens as from a provider whose clock differs from this computer's, and that says so or not. */
async function answerAt(
  world: ProviderWorld<ScriptedProvider>,
  offMs: number,
  { lifeMs = 60 * MINUTE, saysDate = true }: { lifeMs?: number; saysDate?: boolean } = {},
): Promise<void> {
  const now = Math.floor((Date.now() + offMs) / 1000);
  const times = { iat: now, nbf: now, exp: now + lifeMs / 1000 };
  const tokens = await world.provider.tokens({ id_token: await world.provider.idToken(times) });
  const date = new Date(saysDate ? Date.now() + offMs : Date.now()).toUTCString();
  const body = await tokens.json();
  world.provider.script.token.push(() => json(body, 200, { date }));
}

for (const [what, offMs] of [["ahead", -10 * MINUTE], ["behind", 10 * MINUTE]] as const) {
  Deno.test(`clock ${what} by 10 minutes: sign-in and refresh work`, async () => {
    await using world = await scriptedProviderWorld();
    await answerAt(world, offMs);
    const session = await createSession(world.options);
    assertEquals(typeof world.stored().id_token, "string");
    await answerAt(world, offMs);
    assertEquals(await session.accessToken({ forceRefresh: true }), world.stored().access_token);
    assertEquals(world.codes.length, 1);
  });

  Deno.test(`clock ${what} by 10 minutes: an ID token of five minutes is taken`, async () => {
    await using world = await scriptedProviderWorld();
    await answerAt(world, offMs, { lifeMs: 5 * MINUTE });
    await createSession(world.options);
  });

  Deno.test(`clock ${what} by 10 minutes: an ID token that has ended is refused`, async () => {
    await using world = await scriptedProviderWorld();
    await answerAt(world, offMs, { lifeMs: -1 * MINUTE });
    await rejectsWith("id_token_invalid", () => createSession(world.options), "clock");
    assertEquals(world.backend.get(world.key), undefined);
  });
}

Deno.test("clock behind by 10 minutes, and no word of it: the ID token is not valid yet", async () => {
  await using world = await scriptedProviderWorld();
  await answerAt(world, 10 * MINUTE, { saysDate: false });
  await rejectsWith("id_token_invalid", () => createSession(world.options), "clock");
});

Deno.test("clock off by hours: is not believed, and the person is told of the clock", async () => {
  await using world = await scriptedProviderWorld();
  await answerAt(world, 180 * MINUTE);
  await rejectsWith("id_token_invalid", () => createSession(world.options), "clock");
});

Deno.test("clock behind by 10 minutes, ID token as the bearer: the API's 401 renews it", async () => {
  await using world = await scriptedProviderWorld();
  world.api.script.push(() => json({ error: "expired" }, 401));
  await answerAt(world, 10 * MINUTE, { lifeMs: 12 * MINUTE });
  const session = await createSession({ ...world.options, bearer: "id_token" });
  const old = world.stored().id_token;
  world.clock.advance(15 * MINUTE); // ended for the provider, and fresh here
  await answerAt(world, 10 * MINUTE);
  world.api.script.push(() => json({ ok: true }));
  assertEquals(await session.get("thing"), { ok: true });
  assertEquals([world.stored().id_token === old, world.codes.length], [false, 1]);
});

Deno.test("a Date header set back by 14 minutes passes an ID token of that age, and no bearer", async () => {
  await using world = await scriptedProviderWorld();
  await answerAt(world, -14 * MINUTE, { lifeMs: MINUTE });
  await createSession({ ...world.options, bearer: "access_token" });
  await answerAt(world, -14 * MINUTE, { lifeMs: MINUTE });
  const byIdToken = { ...world.options, profile: "id", bearer: "id_token" } as const;
  const session = await createSession(byIdToken).catch(() => undefined);
  assertEquals(await session?.accessToken().catch(() => undefined) === undefined, false); // renewed
  assertEquals(world.provider.requests.at(-1)?.grantType, "refresh_token");
});

Deno.test("a Date header set back by 16 minutes passes no ID token", async () => {
  await using world = await scriptedProviderWorld();
  await answerAt(world, -16 * MINUTE, { lifeMs: MINUTE });
  await rejectsWith("id_token_invalid", () => createSession(world.options), "clock");
});

for (const offMs of [400_000, -400_000]) {
  Deno.test(`clock off by ${offMs / 1000} s, and no Date header: the ID token's own time counts`, async () => {
    await using world = await scriptedProviderWorld();
    await answerAt(world, offMs, { lifeMs: MINUTE });
    const session = await createSession({ ...world.options, fetch: dateless });
    await answerAt(world, offMs, { lifeMs: MINUTE });
    await session.accessToken({ forceRefresh: true });
    assertEquals(world.codes.length, 1);
  });
}

Deno.test("no Date header: an ID token of 16 minutes ago is refused", async () => {
  await using world = await scriptedProviderWorld();
  await answerAt(world, -16 * MINUTE, { lifeMs: MINUTE });
  const run = () => createSession({ ...world.options, fetch: dateless });
  await rejectsWith("id_token_invalid", run, "clock");
});

for (const [what, offMs] of [["ahead", -60 * MINUTE], ["behind", 60 * MINUTE]] as const) {
  Deno.test(`clock ${what} by an hour: the stored end is the provider's, and the session's clock too`, async () => {
    await using world = await scriptedProviderWorld();
    const { now: _, ...options } = world.options;
    const session = await createSession(options);
    const tokens = await (await world.provider.tokens({ id_token: undefined })).json();
    const date = new Date(Date.now() + offMs).toUTCString();
    world.provider.script.token.push(() => json(tokens, 200, { date }));
    assertEquals(await session.accessToken({ forceRefresh: true }), tokens.access_token);
    const end = Date.parse(world.stored().expires_at!) - 3600_000 - (Date.now() + offMs);
    assertEquals(Math.abs(end) < 20_000, true, `${end} ms`);
    world.provider.reset();
    assertEquals(await session.accessToken(), tokens.access_token);
    assertEquals([world.provider.requests.length, (await session.status()).signedIn], [0, true]);
  });
}

Deno.test("clock off by 5 minutes: a proof of DPoP has the provider's time", async () => {
  await using world = await scriptedProviderWorld({
    discovery: { dpop_signing_alg_values_supported: ["ES256"] },
  });
  const date = new Date(Date.now() + 5 * MINUTE).toUTCString();
  world.provider.script.device.push(async () =>
    json(await world.provider.device().json(), 200, { date })
  );
  let proof = "";
  world.provider.script.token.push(({ headers }) => {
    proof = headers.get("dpop")!;
    return json({ error: "access_denied" }, 400);
  });
  await rejectsWith("device_code_denied", () => createSession({ ...world.options, dpop: true }));
  const off = Number(readClaims(proof)?.iat) - Date.now() / 1000 - 5 * 60;
  assertEquals(Math.abs(off) < 20, true, `${off} s`);
});

Deno.test("clock ahead by an hour: a session that joins another one's refresh has its time, too", async () => {
  await using world = await scriptedProviderWorld();
  const { now: _, ...options } = world.options;
  const sessions = [await createSession(options), await createSession(options)];
  const tokens = await (await world.provider.tokens({ id_token: undefined })).json();
  const date = new Date(Date.now() - 60 * MINUTE - 1000).toUTCString();
  world.provider.script.token.push(() => json(tokens, 200, { date }));
  const given = sessions.map((session) => session.accessToken({ forceRefresh: true }));
  assertEquals(await Promise.all(given), [tokens.access_token, tokens.access_token]);
});
