import { tokensOf } from "../../support/entries.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError, type ScriptHandler } from "../../support/scripted_provider.ts";
import { assert, assertEquals } from "@std/assert";
import {
  answerWith,
  HOUR,
  renew,
  scriptedProviderWorld,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import type { Session } from "../../../client/session.ts";
import { hang, json, resetConnection, truncated } from "../../support/http_server.ts";
import { paths } from "../../support/request_log.ts";
import { spyFetch } from "../../support/spy_fetch.ts";

/** The refresh tokens that were sent, hashed. */
function sent({ provider }: ScriptedWorld): (string | undefined)[] {
  return provider.requests.filter(({ grantType }) => grantType === "refresh_token")
    .map(({ form }) => form.refresh_token);
}

test("rotated refresh: a person who is not known is not compared", async (world) => {
  answerWith(world, { id_token: undefined });
  const session = await world.signIn();
  answerWith(world, { id_token: await world.provider.idToken({ sub: "whoever" }) });
  await renew(session);
  assertEquals((await session.status()).subject, "whoever");
});

test("refused refresh: a grant of another process, without a lock, is refreshed, and the last refusal is the end", async (world) => {
  for (const isRefusedToo of [false, true]) {
    const backend = new SpyBackend();
    const session = await world.signIn({ credentialsBackend: backend });
    const { access_token, refresh_token } = await (await world.provider.tokens({})).json();
    world.clock.advance(HOUR);
    world.provider.reset();
    const store = (change: Record<string, string>) => () => {
      backend.rows.set(world.key, { ...backend.rows.get(world.key)!, ...change });
      return oauthError("invalid_grant");
    };
    const expires_at = new Date(world.clock.now() - 1000).toISOString();
    world.provider.script.token.push(store({ access_token, refresh_token, expires_at }));
    if (isRefusedToo) {
      world.provider.script.token.push(store({ refresh_token: "third-refresh" }));
      await rejectsWith("login_required", () => session.accessToken(), "ended the sign-in");
      assertEquals(sent(world).slice(1), [refresh_token, "third-refresh"]);
      assertEquals(backend.rows.get(world.key), undefined);
    } else {
      assertEquals(await session.accessToken(), backend.rows.get(world.key)?.access_token);
      assertEquals(sent(world).slice(1), [refresh_token]);
    }
  }
});

test("a refresh token that was used while this process stood still is not sent", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  const [key, stored] = [...backend.rows][0]!;
  world.clock.advance(HOUR);
  let gets = 0;
  backend.before = (method) => {
    if (method !== "get" || ++gets !== 2) return;
    // Another host took the lock over, and has refreshed: the next look sees it.
    const expires_at = new Date(world.clock.now() + HOUR).toISOString();
    const renewed = { access_token: "access-of-another", refresh_token: "refresh-of-another" };
    backend.rows.set(key, { ...stored, ...renewed, expires_at });
  };
  assertEquals(await session.accessToken(), "access-of-another");
  assertEquals(sent(world), []);
});

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

/** Leads to a path that nothing may be sent to. */
function redirect({ url }: Request): Response {
  return Response.redirect(new URL("/elsewhere", url), 307);
}

/** The advice on a provider that has its hands full, and on an answer that is not its own. */
const BUSY = "Try again later, then ask the administrator of the provider, or of a proxy";
const SIGN_IN_PAGE = "Check also that no network or proxy asks for a sign-in of its own.";

/** Each with words of the message. */
const FAULTS: [what: string, answer: ScriptHandler, ...words: string[]][] = [
  ["connection reset", resetConnection, "the connection ended before"],
  ["timeout", hang, "within 500 ms"],
  ["captive-portal HTML", () => html(200), "status 200", "text/html", SIGN_IN_PAGE],
  ["redirect", redirect, "redirects to another address", SIGN_IN_PAGE],
  ["truncated JSON", () => new Response('{"access_token": "x'), "no usable JSON"],
  ["JSON that breaks off", () => truncated('{"access_token": "x'), "the connection ended before"],
  ["nothing at all", () => new Response(""), "no usable JSON"],
  ["502 as HTML", () => html(502), "status 502", BUSY],
  ["401 as HTML", () => html(401), "status 401", SIGN_IN_PAGE],
  ["403 with a JSON of another kind", () => json({ error: { code: 1 } }, 403), "status 403"],
  ["500 that says invalid_grant", () => json({ error: "invalid_grant" }, 500), "status 500"],
  ["503 as JSON", () => json({ error: "x" }, 503), "status 503"],
  ["429", () => new Response("busy", { status: 429 }), "status 429", BUSY],
];

/** Lets a fault happen at the next request of a kind. */
function inject(world: ScriptedWorld, step: Step, answer: ScriptHandler): void {
  world.provider.script[REQUESTS[step][0]].push(answer);
}

function count(world: ScriptedWorld, step: Step): number {
  return paths(world.provider.requests).filter((path) => path === REQUESTS[step][1]).length;
}

/** What becomes of a sign-in with a fault in it; a refresh is signed in before. */
type Check = (
  world: ScriptedWorld,
  run: () => Promise<Session>,
  inject: () => void,
  ...words: string[]
) => Promise<void>;

/** Before the person has done anything: it ends with a message, and the next try works. */
function endsSignIn(step: "discovery" | "device"): Check {
  return async (world, run, inject, ...words) => {
    inject();
    const url = world.provider.issuer + REQUESTS[step][1];
    await rejectsWith("provider_unavailable", run, url, ...words);
    assertEquals([world.codes, count(world, step)], [[], 1]);
    await run();
  };
}

const OUTCOMES: Record<Step, [outcome: string, check: Check]> = {
  discovery: ["fails before anybody is asked", endsSignIn("discovery")],
  device: ["fails before anybody is asked", endsSignIn("device")],
  // The person's approval is not lost.
  poll: ["is polled through", async (world, run, inject) => {
    inject();
    await run();
    assertEquals([world.clock.delays, count(world, "poll")], [[1000, 2000], 2]);
    assertEquals(world.codes.length, 1);
  }],
  keys: ["is tried again", async (world, run, inject) => {
    inject();
    await run();
    assertEquals([count(world, "poll"), count(world, "keys"), world.codes.length], [1, 2, 1]);
  }],
  // A refresh token may be spent by a request without an answer: it is sent once, and kept.
  refresh: ["fails and keeps the tokens", async (world, run, inject, ...words) => {
    const session = await run();
    const before = world.stored();
    world.clock.advance(HOUR - 60_000);
    inject();
    assertEquals(await session.accessToken(), before.access_token); // for its last minute
    world.clock.advance(60_000);
    world.provider.reset();
    inject();
    const url = `${world.provider.issuer}/token`;
    const use = () => session.accessToken();
    assertNoSecret(await rejectsWith("provider_unavailable", use, url, ...words), tokensOf(before));
    assertEquals([count(world, "refresh"), world.stored()], [1, before]);
    assertEquals(await session.accessToken(), world.stored().access_token); // it is back
    assertEquals(world.codes.length, 1);
  }],
};

for (const [step, [outcome, check]] of Object.entries(OUTCOMES)) {
  Deno.test(`fault at ${step}: ${outcome}`, async () => {
    const errors = ["server_error", "temporarily_unavailable"].map((error) =>
      [error, () => oauthError(error), "status 400"] as typeof FAULTS[number]
    );
    for (const [what, answer, ...words] of step === "refresh" ? FAULTS.concat(errors) : FAULTS) {
      await using world = await scriptedProviderWorld();
      const limit = answer === hang ? { timeoutMs: 500 } : {};
      const run = () => world.signIn(limit);
      await check(world, run, () => inject(world, step as Step, answer), ...words)
        .catch((cause) => Promise.reject(new Error(`at ${what}`, { cause })));
      assert(!paths(world.provider.requests).includes("/elsewhere"));
    }
  });
}

test("fault: another content type, whatever is asked for, is taken, as it is JSON", async (world) => {
  for (const [index, type] of ["text/html", "text/plain; charset=utf-8", ""].entries()) {
    const fetch = spyFetch(async (url, init) => {
      const { status, body } = await globalThis.fetch(url, init);
      return new Response(body, { status, headers: { "content-type": type } });
    });
    const session = await world.signIn({ fetch, profile: `${index}` });
    assert(world.provider.isActive(await renew(session)));
  }
  assertEquals(world.codes.length, 3);
});
