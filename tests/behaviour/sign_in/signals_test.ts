import { createSession } from "../../../client/create_session.ts";
import { clearOidcCredentials, getSession, init } from "../../../client/init.ts";
import { hang } from "../../support/http_server.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { answerWith, HOUR, renew, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";

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
    await world.provider.waitFor(({ status }) => status === 500);
  });
  assertEquals(count, 0);
  assertEquals(await session.accessToken(), world.stored().access_token);
});

for (const use of ["get", "post", "fetch"] as const) {
  test.signedIn(`signals: that of ${use} ends the wait for a refresh`, async ({ session, ...world }) => {
    for (const when of ["before", "after a 401"] as const) {
      if (when === "before") world.clock.advance(HOUR);
      else world.api.reject(1);
      const { arrived, open, handler } = gated();
      world.provider.script.token.push(handler);
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = use === "get"
        ? session.get("thing", {}, { signal })
        : use === "post"
        ? session.post("thing", { json: {}, signal })
        : session.fetch("thing", { signal });
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
  assertEquals(
    new Set(await Array.fromAsync(world.backend.list())),
    new Set([
      `profile:ada|${world.key}`,
      `profile:grace|${world.key}`,
    ]),
  );
});

test("profile: VM_OIDC_PROFILE is its default, and an option is stronger", async (world) => {
  await withTempHome(async () => {
    Deno.env.set("VM_OIDC_PROFILE", "env");
    assertEquals((await world.signIn()).profile, "env");
    assertEquals((await world.signIn({ profile: "own" })).profile, "own");
    const result = await clearOidcCredentials({
      issuer: world.provider.issuer,
      clientId: world.provider.clientId,
      credentialsBackend: world.backend,
    });
    assertEquals(result.keys, [`profile:env|${world.key}`]);
  });
});

test("profile: clearOidcCredentials clears the active session's, or the one named", async (world) => {
  const { issuer, clientId } = world.provider;
  const credentialsBackend = world.backend;
  for (const profile of [undefined, "one", "two"]) {
    await world.signIn({ ...(profile && { profile }) });
  }
  await init({ ...world.options, profile: "one", model: "m" });
  const named = await clearOidcCredentials({
    issuer,
    clientId,
    profile: "two",
    credentialsBackend,
  });
  assertEquals(named.keys, [`profile:two|${world.key}`]);
  assertEquals((await clearOidcCredentials()).keys, [`profile:one|${world.key}`]);
  const rest = await clearOidcCredentials({ issuer, clientId, credentialsBackend });
  assertEquals(rest.keys, [world.key]);
});

test("profile: the sign-out of one ends neither another's session nor entry", async (world) => {
  const one = await world.signIn({ profile: "one" });
  const two = await world.signIn({ profile: "two" });
  await one.clear();
  assertEquals((await two.status()).signedIn, true);
  assert(world.backend.get(`profile:two|${world.key}`));
});

test("profile: the prompt says who has signed in, by the best name, and whether it lasts", async (world) => {
  const { onDeviceCode: _, ...options } = world.options;
  const said: string[] = [];
  const write = (bytes: Uint8Array) => {
    said.push(new TextDecoder().decode(bytes));
    return Promise.resolve(bytes.length);
  };
  Object.defineProperty(Deno.stderr, "write", { value: write, configurable: true });
  try {
    const person = { email: undefined, preferred_username: undefined, sub: "s-1" };
    for (
      const [name, value] of [["sub", "s-1"], ["preferred_username", "ada"], ["email", "a@b.c"]]
    ) {
      Object.assign(person, { [name!]: value });
      const id_token = await world.provider.idToken(person);
      answerWith(world, { id_token });
      await createSession({ ...options, profile: name! });
      assert(said.join("").includes(`Signed in as ${value}`), said.join(""));
    }
    assert(!said.join("").includes("offline_access"), said.join(""));
    answerWith(world, { refresh_token: undefined });
    await createSession({ ...options, profile: "unrefreshable" });
    assert(said.join("").includes("offline_access"), said.join(""));
  } finally {
    Reflect.deleteProperty(Deno.stderr, "write");
  }
});
