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
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

/** The requests of a sign-in, and of what follows it. */
const REQUESTS = ["discovery", "keys", "device", "poll", "refresh"] as const;
type Step = typeof REQUESTS[number];

const PATHS: Record<Step, string> = {
  discovery: "/.well-known/openid-configuration",
  keys: "/jwks",
  device: "/device",
  poll: "/token",
  refresh: "/token",
};

interface Fault {
  what: string;
  answer: ScriptHandler;
  /** Words in the message. */
  words: string[];
}

function html(status: number): Response {
  return new Response("<html>Please sign in to the hotel's network", {
    status,
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}

const FAULTS: Fault[] = [
  { what: "connection reset", answer: resetConnection, words: ["the connection broke off"] },
  { what: "timeout", answer: hang, words: ["within 1000 ms"] },
  { what: "captive-portal HTML", answer: () => html(200), words: ["status 200", "text/html"] },
  {
    what: "redirect to a captive portal",
    answer: () => Response.redirect("https://portal.example.com/", 302),
    words: ["redirects elsewhere"],
  },
  {
    what: "truncated JSON",
    answer: () => new Response('{"access_token": "x', { headers: { "content-type": JSON_TYPE } }),
    words: ["no JSON object"],
  },
  {
    what: "JSON that breaks off with its connection",
    answer: () => truncated('{"access_token": "x'),
    words: ["the connection broke off"],
  },
  { what: "nothing at all", answer: () => new Response(""), words: ["no JSON object"] },
  { what: "502 as HTML", answer: () => html(502), words: ["status 502"] },
  { what: "401 as HTML", answer: () => html(401), words: ["status 401"] },
  {
    what: "500 that says invalid_grant",
    answer: () => json({ error: "invalid_grant" }, 500),
    words: ["status 500"],
  },
  { what: "503 as JSON", answer: () => json({ error: "x" }, 503), words: ["status 503"] },
  { what: "429", answer: () => new Response("busy", { status: 429 }), words: ["status 429"] },
];

const JSON_TYPE = "application/json";

/** Lets a fault happen at the next request of a kind. */
function inject(world: ProviderWorld<ScriptedProvider>, step: Step, answer: ScriptHandler): void {
  const endpoint = step === "poll" || step === "refresh"
    ? "token"
    : step === "keys"
    ? "jwks"
    : step;
  world.provider.script[endpoint].push(answer);
}

function count(world: ProviderWorld<ScriptedProvider>, step: Step): number {
  return paths(world.provider.requests).filter((path) => path === PATHS[step]).length;
}

/** Before the person has done anything: it ends with a message, and the next try works. */
async function endsSignIn(fault: Fault, step: "discovery" | "device"): Promise<void> {
  await using world = await scriptedProviderWorld();
  const options = { ...world.options, timeoutMs: 1000 };
  inject(world, step, fault.answer);
  const words = [world.provider.issuer + PATHS[step], ...fault.words];
  await rejectsWith("provider_unavailable", () => createSession(options), ...words);
  assertEquals([world.codes, count(world, step)], [[], 1]);
  await createSession(world.options);
}

/** After it: the person's approval is not lost. */
async function isPolledThrough(fault: Fault): Promise<void> {
  await using world = await scriptedProviderWorld();
  inject(world, "poll", fault.answer);
  await createSession({ ...world.options, timeoutMs: 1000 });
  assertEquals([world.clock.delays, count(world, "poll")], [[1000, 2000], 2]);
  assertEquals(world.codes.length, 1);
}

async function isTriedAgain(fault: Fault): Promise<void> {
  await using world = await scriptedProviderWorld();
  inject(world, "keys", fault.answer);
  await createSession({ ...world.options, timeoutMs: 1000 });
  assertEquals([count(world, "poll"), count(world, "keys"), world.codes.length], [1, 2, 1]);
}

/** A refresh token may be spent by a request without an answer: it is sent once, and kept. */
async function keepsTokens(fault: Fault): Promise<void> {
  await using world = await scriptedProviderWorld();
  const session = await createSession({ ...world.options, timeoutMs: 1000 });
  world.clock.advance(HOUR);
  const before = world.stored();
  world.provider.reset();
  inject(world, "refresh", fault.answer);
  const words = [`${world.provider.issuer}/token`, ...fault.words];
  const error = await rejectsWith("provider_unavailable", () => session.accessToken(), ...words);
  assertNoSecret(error, tokensOf(before));
  assertEquals([count(world, "refresh"), world.stored()], [1, before]);
  assertEquals(await session.accessToken(), world.stored().access_token); // it is back
  assertEquals(world.codes.length, 1);
}

const OUTCOMES: Record<Step, [outcome: string, check: (fault: Fault) => Promise<void>]> = {
  discovery: ["fails before anybody is asked", (fault) => endsSignIn(fault, "discovery")],
  device: ["fails before anybody is asked", (fault) => endsSignIn(fault, "device")],
  poll: ["is polled through", isPolledThrough],
  keys: ["is tried again", isTriedAgain],
  refresh: ["fails and keeps the tokens", keepsTokens],
};

for (const fault of FAULTS) {
  for (const step of REQUESTS) {
    const [outcome, check] = OUTCOMES[step];
    Deno.test(`fault: ${fault.what} at ${step}: ${outcome}`, () => check(fault));
  }
}

for (const type of ["text/html", "text/plain; charset=utf-8", "application/octet-stream", ""]) {
  for (const step of REQUESTS) {
    Deno.test(`fault: content type "${type}" at ${step}: is taken, as it is JSON`, async () => {
      await using world = await scriptedProviderWorld();
      const session = step === "refresh" ? await createSession(world.options) : undefined;
      const answer = await goodAnswer(world, step);
      inject(world, step, () => new Response(answer, { headers: { "content-type": type } }));
      if (session === undefined) await createSession(world.options);
      else await session.accessToken({ forceRefresh: true });
      assertEquals(world.codes.length, 1);
      assert(world.provider.isActive(world.stored().access_token));
    });
  }
}

async function goodAnswer(
  world: ProviderWorld<ScriptedProvider>,
  step: Step,
): Promise<Uint8Array<ArrayBuffer>> {
  const { provider } = world;
  const url = provider.issuer + PATHS[step];
  switch (step) {
    case "discovery":
    case "keys":
      return await (await fetch(url)).bytes();
    case "device":
      return await provider.device().bytes();
    default:
      return await (await provider.tokens()).bytes();
  }
}

for (const error of ["server_error", "temporarily_unavailable"]) {
  Deno.test(`fault: ${error} at refresh: fails and keeps the tokens`, async () => {
    await keepsTokens({ what: error, answer: () => oauthError(error), words: ["status 400"] });
  });
}

Deno.test("fault: a refresh that cannot be done bridges with a token in its last minutes", async () => {
  for (const { answer } of FAULTS) {
    await using world = await scriptedProviderWorld();
    const session = await createSession({ ...world.options, timeoutMs: 1000 });
    const { access_token } = world.stored();
    world.clock.advance(HOUR - 60_000);
    inject(world, "refresh", answer);
    assertEquals(await session.accessToken(), access_token);
  }
});
