import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { readClaims } from "../../../client/entry.ts";
import { json } from "../../support/http_server.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { type ProviderWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
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

/** The life of the ID token and how far the provider's clock is ahead, in minutes. */
const TAKEN: [off: number, life: number, how?: "no Date"][] = [
  [-10, 60],
  [10, 60],
  [-10, 5],
  [10, 5],
  [-14, 1],
  [-6, 1, "no Date"],
  [6, 1, "no Date"],
];

for (const [off, life, how] of TAKEN) {
  test(`clock off by ${off} minutes, ${how ?? "by Date"}: an ID token of ${life} is taken`, async (world) => {
    const options = { ...world.options, ...(how && { fetch: dateless }) };
    await answerAt(world, off * MINUTE, { lifeMs: life * MINUTE });
    const session = await createSession(options);
    assertEquals(typeof world.stored().id_token, "string");
    await answerAt(world, off * MINUTE, { lifeMs: life * MINUTE });
    assertEquals(await session.accessToken({ forceRefresh: true }), world.stored().access_token);
    assertEquals(world.codes.length, 1);
  });
}

const REFUSED: [off: number, life: number, how?: "no Date" | "a wrong Date"][] = [
  [-10, -1],
  [10, -1],
  [180, 60],
  [-16, 1],
  [-16, 1, "no Date"],
  [10, 60, "a wrong Date"],
];

for (const [off, life, how] of REFUSED) {
  test(`clock off by ${off} minutes, ${how ?? "by Date"}: an ID token of ${life} is refused`, async (world) => {
    const options = { ...world.options, ...(how === "no Date" && { fetch: dateless }) };
    await answerAt(world, off * MINUTE, { lifeMs: life * MINUTE, saysDate: how === undefined });
    await rejectsWith("id_token_invalid", () => createSession(options), "clock");
    assertEquals(world.backend.get(world.key), undefined);
  });
}

test("clock behind by 10 minutes, ID token as the bearer: the API's 401 renews it", async (world) => {
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

test("clock ahead by 14 minutes: an ID token that Date alone lets pass is no bearer", async (world) => {
  await answerAt(world, -14 * MINUTE, { lifeMs: MINUTE });
  const session = await createSession({ ...world.options, bearer: "id_token" })
    .catch(() => undefined);
  assert(await session?.accessToken().catch(() => undefined) !== undefined); // renewed
  assertEquals(world.provider.requests.at(-2)?.grantType, "refresh_token"); // then the keys
});

for (const offMs of [-60 * MINUTE, 60 * MINUTE]) {
  test(`clock off by ${offMs} ms: the stored end is the provider's, and the sessions' clocks too`, async (world) => {
    const { now: _, ...options } = world.options;
    const sessions = [await createSession(options), await createSession(options)];
    const tokens = await (await world.provider.tokens({ id_token: undefined })).json();
    const date = new Date(Date.now() + offMs).toUTCString();
    world.provider.script.token.push(() => json(tokens, 200, { date }));
    const given = sessions.map((session) => session.accessToken({ forceRefresh: true })); // joins
    assertEquals(await Promise.all(given), [tokens.access_token, tokens.access_token]);
    const end = Date.parse(world.stored().expires_at!) - 3600_000 - (Date.now() + offMs);
    assert(Math.abs(end) < 20_000, `${end} ms`);
    world.provider.reset();
    assertEquals(await sessions[1]!.accessToken(), tokens.access_token);
    const { signedIn } = await sessions[0]!.status();
    assertEquals([world.provider.requests.length, signedIn], [0, true]);
  });
}

Deno.test("clock off by 5 minutes: a proof of DPoP has the provider's time", async () => {
  await using world = await scriptedProviderWorld({
    discovery: { dpop_signing_alg_values_supported: ["ES256"] },
  });
  const date = new Date(Date.now() + 5 * MINUTE).toUTCString();
  const device = await world.provider.device().json();
  world.provider.script.device.push(() => json(device, 200, { date }));
  let proof = "";
  world.provider.script.token.push(({ headers }) => {
    proof = headers.get("dpop")!;
    return json({ error: "access_denied" }, 400);
  });
  await rejectsWith("device_code_denied", () => createSession({ ...world.options, dpop: true }));
  const off = Number(readClaims(proof)?.iat) - Date.now() / 1000 - 5 * 60;
  assert(Math.abs(off) < 20, `${off} s`);
});
