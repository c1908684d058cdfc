import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { hang, json, resetConnection, truncated } from "../../support/http_server.ts";
import {
  oauthError,
  type ScriptedProvider,
  type ScriptHandler,
} from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { HOUR, type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const JSON_TYPE = { headers: { "content-type": "application/json" } };

/** The requests of a sign-in, and of what follows it: the script's name of each, and its path. */
const REQUESTS = {
  discovery: ["discovery", "/.well-known/openid-configuration"],
  keys: ["jwks", "/jwks"],
  device: ["device", "/device"],
  poll: ["token", "/token"],
  refresh: ["token", "/token"],
} as const;
type Step = keyof typeof REQUESTS;

function html(status: number): Response {
  return new Response("<html>Please sign in to the hotel's network", {
    status,
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}

/** Each with words of the message. */
const FAULTS: [what: string, answer: ScriptHandler, ...words: string[]][] = [
  ["connection reset", resetConnection, "the connection broke off"],
  ["timeout", hang, "within 500 ms"],
  ["captive-portal HTML", () => html(200), "status 200", "text/html"],
  ["redirect", () => Response.redirect("https://portal.example.com/"), "redirects elsewhere"],
  [
    "truncated JSON",
    () => new Response('{"access_token": "x', JSON_TYPE),
    "no JSON object",
  ],
  ["JSON that breaks off", () => truncated('{"access_token": "x'), "the connection broke off"],
  ["nothing at all", () => new Response(""), "no JSON object"],
  ["502 as HTML", () => html(502), "status 502"],
  ["401 as HTML", () => html(401), "status 401"],
  ["500 that says invalid_grant", () => json({ error: "invalid_grant" }, 500), "status 500"],
  ["503 as JSON", () => json({ error: "x" }, 503), "status 503"],
  ["429", () => new Response("busy", { status: 429 }), "status 429"],
];

type Check = (what: string, answer: ScriptHandler, words: string[]) => Promise<void>;

/** Lets a fault happen at the next request of a kind. */
function inject(world: ProviderWorld<ScriptedProvider>, step: Step, answer: ScriptHandler): void {
  world.provider.script[REQUESTS[step][0]].push(answer);
}

/** A short time limit for an answer that never comes. */
function limit(answer: ScriptHandler): { timeoutMs?: number } {
  return answer === hang ? { timeoutMs: 500 } : {};
}

function count(world: ProviderWorld<ScriptedProvider>, step: Step): number {
  return paths(world.provider.requests).filter((path) => path === REQUESTS[step][1]).length;
}

/** Before the person has done anything: it ends with a message, and the next try works. */
function endsSignIn(step: "discovery" | "device"): Check {
  return async (what, answer, words) => {
    await using world = await scriptedProviderWorld();
    inject(world, step, answer);
    const run = () => createSession({ ...world.options, ...limit(answer) });
    const url = world.provider.issuer + REQUESTS[step][1];
    await rejectsWith("provider_unavailable", run, url, ...words);
    assertEquals([world.codes, count(world, step)], [[], 1], what);
    await createSession(world.options);
  };
}

const OUTCOMES: Record<Step, [outcome: string, check: Check]> = {
  discovery: ["fails before anybody is asked", endsSignIn("discovery")],
  device: ["fails before anybody is asked", endsSignIn("device")],
  // The person's approval is not lost.
  poll: ["is polled through", async (what, answer) => {
    await using world = await scriptedProviderWorld();
    inject(world, "poll", answer);
    await createSession({ ...world.options, ...limit(answer) });
    assertEquals([world.clock.delays, count(world, "poll")], [[1000, 2000], 2], what);
    assertEquals(world.codes.length, 1);
  }],
  keys: ["is tried again", async (what, answer) => {
    await using world = await scriptedProviderWorld();
    inject(world, "keys", answer);
    await createSession({ ...world.options, ...limit(answer) });
    assertEquals([count(world, "poll"), count(world, "keys"), world.codes.length], [1, 2, 1], what);
  }],
  // A refresh token may be spent by a request without an answer: it is sent once, and kept.
  refresh: ["fails and keeps the tokens", async (what, answer, words) => {
    await using world = await scriptedProviderWorld();
    const session = await createSession({ ...world.options, ...limit(answer) });
    const before = world.stored();
    world.clock.advance(HOUR - 60_000);
    inject(world, "refresh", answer);
    assertEquals(await session.accessToken(), before.access_token, what); // for its last minute
    world.clock.advance(60_000);
    world.provider.reset();
    inject(world, "refresh", answer);
    const url = `${world.provider.issuer}/token`;
    const run = () => session.accessToken();
    const error = await rejectsWith("provider_unavailable", run, url, ...words);
    assertNoSecret(error, tokensOf(before));
    assertEquals([count(world, "refresh"), world.stored()], [1, before]);
    assertEquals(await session.accessToken(), world.stored().access_token); // it is back
    assertEquals(world.codes.length, 1);
  }],
};

for (const [step, [outcome, check]] of Object.entries(OUTCOMES)) {
  Deno.test(`fault at ${step}: ${outcome}`, async () => {
    for (const [what, answer, ...words] of FAULTS) await check(what, answer, words);
    if (step !== "refresh") return;
    for (const error of ["server_error", "temporarily_unavailable"]) {
      await check(error, () => oauthError(error), ["status 400"]);
    }
  });
}

for (const step of Object.keys(REQUESTS) as Step[]) {
  Deno.test(`fault: another content type at ${step}: is taken, as it is JSON`, async () => {
    for (const type of ["text/html", "text/plain; charset=utf-8", ""]) {
      await using world = await scriptedProviderWorld();
      const { provider } = world;
      const session = step === "refresh" ? await createSession(world.options) : undefined;
      const good = step === "discovery" || step === "keys"
        ? await fetch(provider.issuer + REQUESTS[step][1])
        : step === "device"
        ? provider.device()
        : await provider.tokens();
      const answer = await good.bytes();
      inject(world, step, () => new Response(answer, { headers: { "content-type": type } }));
      if (session === undefined) await createSession(world.options);
      else await session.accessToken({ forceRefresh: true });
      assertEquals(world.codes.length, 1);
      assert(world.provider.isActive(world.stored().access_token));
    }
  });
}
