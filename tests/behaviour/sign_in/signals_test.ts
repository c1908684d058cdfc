import { clearOidcCredentials, createSession, getSession, init } from "@validmind/auth";
import type { Session } from "@validmind/auth";
import { hang } from "../../support/http_server.ts";
import { answered } from "../../support/request_log.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { answerWith, HOUR, renew, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";

const REASON = new Error("enough");

/** A gate that the provider's next token answer waits at. */
function gated(answer?: () => Response) {
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const handler = async () => {
    arrived.resolve();
    await gate.promise;
    return answer?.();
  };
  return { arrived: arrived.promise, open: () => gate.resolve(), handler };
}

/** Counts what no one catches while `run` runs. */
async function unhandled(run: () => Promise<void>): Promise<number> {
  let count = 0;
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    count++;
  };
  globalThis.addEventListener("unhandledrejection", listener);
  try {
    await run();
    await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    globalThis.removeEventListener("unhandledrejection", listener);
  }
  return count;
}

test.signedIn("signals: an aborted one starts no refresh, and leaves no rejection behind", async ({ session, ...world }) => {
  world.provider.reset();
  world.provider.script.token.push(() => oauthError("server_error", 500));
  const signal = AbortSignal.abort(REASON);
  const count = await unhandled(async () => {
    const run = () => session.accessToken({ forceRefresh: true, signal });
    assertEquals(await assertRejects(run), REASON);
  });
  assertEquals([count, world.provider.requests], [0, []]);
});

test.signedIn("signals: a refresh that fails after its only caller has left is nobody's error", async ({ session, ...world }) => {
  const { arrived, open, handler } = gated(() => oauthError("server_error", 500));
  world.provider.script.token.push(handler);
  const controller = new AbortController();
  const count = await unhandled(async () => {
    const waiting = session.accessToken({ forceRefresh: true, signal: controller.signal });
    await arrived;
    controller.abort(REASON);
    assertEquals(await assertRejects(() => waiting), REASON);
    open();
    await answered(world.provider.requests, ({ status }) => status === 500);
  });
  assertEquals(count, 0);
  assertEquals(await session.accessToken(), world.stored().access_token);
});

const USES: Record<string, (session: Session, signal: AbortSignal) => Promise<unknown>> = {
  get: (session, signal) => session.get("thing", {}, { signal }),
  post: (session, signal) => session.post("thing", { json: {}, signal }),
  fetch: (session, signal) => session.fetch("thing", { signal }),
};

for (const [name, use] of Object.entries(USES)) {
  test.signedIn(`signals: that of ${name} ends the wait for a refresh`, async ({ session, ...world }) => {
    for (const when of ["before", "after a 401"] as const) {
      if (when === "before") world.clock.advance(HOUR);
      else world.api.reject(1);
      const { arrived, open, handler } = gated();
      world.provider.script.token.push(handler);
      const controller = new AbortController();
      const waiting = use(session, controller.signal);
      await arrived;
      controller.abort(REASON);
      assertEquals(await assertRejects(() => waiting), REASON);
      open();
      await renew(session); // joins the one that still runs
    }
    assertEquals(world.api.requests.map(({ status }) => status), [401]);
  });
}

test("signals: init's own ends the ping, and leaves no active session", async (world) => {
  const controller = new AbortController();
  world.api.script.push((request) => {
    controller.abort(REASON);
    return hang(request);
  });
  const run = () => init({ ...world.options, model: "m", signal: controller.signal });
  assertEquals(await assertRejects(run), REASON);
  await rejectsWith("no_active_session", () => getSession());
  assert(world.provider.isActive(world.stored().access_token)); // the sign-in was done
});

test("signals: one ends the wait for a backend that hangs, at start and before asking", async (world) => {
  for (const isProbe of [false, true]) {
    const backend = new SpyBackend();
    const arrived = Promise.withResolvers<void>();
    backend.before = (method, key) => {
      if (method !== "get" || key.startsWith("probe|") !== isProbe) return;
      arrived.resolve();
      return new Promise(() => {});
    };
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = world.signIn({ credentialsBackend: backend, signal });
    await arrived.promise;
    controller.abort(REASON);
    assertEquals(await assertRejects(() => waiting), REASON);
  }
  assertEquals([world.provider.requests, world.codes], [[], []]);
});

test.real("profile: two people at one client, at once in one process", async (world) => {
  const logins = ["ada@example.com", "grace@example.com"];
  world.clock.onDelay = async () => {
    const { userCode } = world.codes.at(-1)!;
    await world.provider.approve(userCode, { login: logins[world.codes.length - 1]! });
  };
  const ada = await world.signIn({ profile: "ada" });
  const grace = await world.signIn({ profile: "grace" });
  world.clock.onDelay = () => {};
  world.clock.advance(HOUR);
  const who = await Promise.all([ada, grace].map(async (session) => {
    await session.get("thing"); // after a refresh, each of its own grant
    const { subject, profile } = await session.status();
    return [profile, session.profile, subject];
  }));
  assertEquals(who, [["ada", "ada", "ada@example.com"], ["grace", "grace", "grace@example.com"]]);
  assertNotEquals(await ada.accessToken(), await grace.accessToken());
  const keys = ["ada", "grace"].map((name) => `profile:${name}|${world.key}`);
  assertEquals((await Array.fromAsync(world.backend.list())).sort(), keys);
  await ada.clear();
  assertEquals((await grace.status()).signedIn, true);
  assertEquals(await Array.fromAsync(world.backend.list()), [keys[1]]);
});

test("profile: VM_OIDC_PROFILE is its default, and an option is stronger", async (world) => {
  Deno.env.set("VM_OIDC_PROFILE", "env");
  assertEquals((await world.signIn()).profile, "env");
  assertEquals((await world.signIn({ profile: "own" })).profile, "own");
  const { issuer, clientId } = world.provider;
  const clear = { issuer, clientId, credentialsBackend: world.backend };
  assertEquals((await clearOidcCredentials(clear)).keys, [`profile:env|${world.key}`]);
});

test("profile: clearOidcCredentials clears the active session's, or the one named", async (world) => {
  const { issuer, clientId } = world.provider;
  const clear = { issuer, clientId, credentialsBackend: world.backend };
  for (const more of [{}, { profile: "one" }, { profile: "two" }]) await world.signIn(more);
  await init({ ...world.options, profile: "one", model: "m" });
  const named = await clearOidcCredentials({ ...clear, profile: "two" });
  assertEquals(named.keys, [`profile:two|${world.key}`]);
  assertEquals((await clearOidcCredentials()).keys, [`profile:one|${world.key}`]);
  assertEquals((await clearOidcCredentials(clear)).keys, [world.key]);
});

test("profile: the prompt says who has signed in, by the best name, and whether it lasts", async (world) => {
  const { onDeviceCode: _, ...options } = world.options;
  using streams = new OwnStreams();
  const person = { email: undefined, name: undefined };
  const names = { sub: "s-1", preferred_username: "ada", name: "Ada A", email: "a@b.c" };
  for (const [name, value] of Object.entries(names)) {
    Object.assign(person, { [name]: value });
    answerWith(world, { id_token: await world.provider.idToken(person) });
    const session = await createSession({ ...options, profile: name });
    assertStringIncludes(streams.written.stderr, `Signed in as ${value}.`);
    const { email, name: full, subject } = await session.status();
    assertEquals(email ?? full ?? subject, value, "as its status says");
  }
  assertEquals(streams.written.stderr.includes("offline_access"), false);
  answerWith(world, { refresh_token: undefined });
  await createSession({ ...options, profile: "unrefreshable" });
  assertStringIncludes(streams.written.stderr, "offline_access");
  answerWith(world, { id_token: undefined });
  const run = () => createSession({ ...options, profile: "without", bearer: "id_token" });
  await rejectsWith("id_token_missing", run);
  assertMatch(streams.written.stderr, /\nThe sign-in failed: see the error\.\n$/);
});
