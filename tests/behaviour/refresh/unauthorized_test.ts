import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ApiError } from "../../../client/errors.ts";
import { json } from "../../support/http_server.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { answerWith, HOUR, refreshes, renew, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

test.real("401: one refresh and one retry, at a real provider, which the events tell", async (world) => {
  const events: string[] = [];
  const session = await world.signIn({ onEvent: ({ type }) => void events.push(type) });
  const old = world.stored().access_token;
  world.provider.expireAccessTokens();
  events.length = 0;
  await session.get("thing");
  const fresh = world.stored().access_token;
  const sent = world.api.requests.map(({ headers }) => headers.authorization);
  assertEquals(sent, [`Bearer ${old}`, `Bearer ${fresh}`]);
  assertEquals(world.api.requests.map(({ status }) => status), [401, 200]);
  const answers = ["provider_answered", "provider_answered"];
  assertEquals(events, ["refresh_started", ...answers, "refresh_done", "stored", "api_retry"]);
});

test.signedIn("401: a stream cannot be sent again, so nothing is refreshed for it", async ({ session, ...world }) => {
  const stream = () => ReadableStream.from([new TextEncoder().encode("hello")]);
  const generator = async function* () {
    yield new TextEncoder().encode("hello");
  };
  const request = () =>
    new Request(`${world.api.apiHost}thing`, { method: "POST", body: stream() });
  for (
    const send of [
      () => session.fetch("thing", { method: "POST", body: stream() }),
      () => session.fetch("thing", { method: "POST", body: generator() as unknown as BodyInit }),
      () => session.fetch(request()),
    ]
  ) {
    world.api.reject(1);
    world.api.reset();
    const error = await assertRejects(send, ApiError);
    assertEquals([error.status, error.code, world.api.requests.length], [401, "unauthorized", 1]);
    assertStringIncludes(error.message, "api/v1/tracking/thing: the API answered 401");
    assertStringIncludes(error.message, "stream, which cannot be sent again");
    assertStringIncludes(error.body, "invalid_credentials");
  }
  assertEquals(refreshes(world), 0);
});

test.signedIn("401: a second one, and one whose refresh is refused, is the answer", async ({ session, ...world }) => {
  for (const isRefused of [false, true]) {
    world.clock.advance(60_000); // a 401 to a new token keeps the session from another refresh
    world.api.reject(2);
    world.api.reset();
    if (isRefused) world.provider.script.token.push(() => oauthError("access_denied"));
    const error = await assertRejects(() => session.get("thing"), ApiError);
    assertEquals([error.status, error.code], [401, "unauthorized"]);
    assertStringIncludes(error.body, "invalid_credentials");
    assertEquals(world.api.requests.length, isRefused ? 1 : 2);
  }
  assertEquals(refreshes(world), 2);
  assertEquals(typeof world.stored().refresh_token, "string");
});

test.signedIn("401: a sign-in that the provider has ended is told, by each call", async ({ session, ...world }) => {
  world.provider.script.token.push(() => oauthError("invalid_grant"));
  const words = "the provider ended the sign-in";
  for (const reason of [words, "no sign-in is stored"]) {
    world.api.reject(1);
    await rejectsWith("login_required", () => session.get("thing"), reason, "init()");
  }
  assertEquals(refreshes(world), 1);
});

test.signedIn("401: a sign-in that another process has removed is told, by each call", async ({ session, ...world }) => {
  world.backend.delete(world.key);
  const calls = [
    () => session.get("thing"),
    () => session.post("thing", { json: {} }),
    () => session.fetch("thing"),
  ];
  for (const call of calls) {
    world.api.reject(1);
    await rejectsWith("login_required", call, "no sign-in is stored", "init()");
  }
  const demand = `Bearer error="insufficient_claims", claims="${btoa('{"a":1}')}"`;
  world.api.script.push(() => json({}, 401, { "www-authenticate": demand }));
  await rejectsWith("reauthentication_required", calls[0]!, "claims");
});

test.signedIn("401: a sign-in that another person has replaced is told, by each call", async ({ session, ...world }) => {
  const id_token = `e30.${btoa('{"sub":"another"}')}.`;
  world.amend({ id_token, access_token: "of-another" });
  for (const call of [() => session.get("thing"), () => session.fetch("thing")]) {
    world.api.reject(1);
    await rejectsWith("login_required", call, "another person has signed in");
  }
});

test.signedIn("401: a provider that is down is told: the 401 would hide it", async ({ session, ...world }) => {
  for (const use of [() => session.get("thing"), () => session.fetch("thing")]) {
    world.api.reject(1);
    world.provider.script.token.push(() => json({}, 503));
    await rejectsWith("provider_unavailable", use, "503");
  }
  assertEquals(world.api.requests.length, 2);
  assertEquals(typeof world.stored().refresh_token, "string");
});

test.signedIn("401: a token that another process has refreshed is used without a refresh", async ({ session, ...world }) => {
  for (const isQuiet of [false, true]) {
    if (isQuiet) { // no 401 leads to a refresh within the next minute
      world.api.reject(2);
      await assertRejects(() => session.get("thing"), ApiError);
    }
    await renew(await world.signIn());
    world.api.reject(1);
    world.provider.reset();
    await session.get("thing");
    assertEquals(world.provider.requests, []);
    const { headers } = world.api.requests.at(-1)!;
    assertEquals(headers.authorization, `Bearer ${world.stored().access_token}`);
  }
});

test.signedIn("401: every body that can be sent again is", async ({ session, ...world }) => {
  const form = new FormData();
  form.set("a", "hello");
  const bytes = new TextEncoder().encode("hello");
  const sends = [
    ...["hello", new Blob(["hello"]), bytes, bytes.buffer, new URLSearchParams({ a: "hello" })]
      .map((body) => () => session.fetch("thing", { method: "POST", body })),
    ...[{ json: { a: "hello" } }, { form: { a: "hello" } }, { form }]
      .map((options) => () => session.post("thing", options)),
  ];
  for (const send of sends) {
    world.api.reject(1);
    world.api.reset();
    const answer = await send();
    if (answer instanceof Response) await answer.body?.cancel();
    const seen = world.api.requests.map(({ status, body }) => [status, /hello/.test(body!)]);
    assertEquals(seen, [[401, true], [200, true]]);
  }
  assertEquals(refreshes(world), sends.length);
});

test("401: a refresh that began before the refusal does not hand out the refused token", async (world) => {
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let hold: (() => Promise<void>) | undefined;
  const backend = Object.assign(new SpyBackend(), {
    async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
      await hold?.();
      return await fn();
    },
  });
  const waiting = await world.signIn({ credentialsBackend: backend });
  world.clock.advance(HOUR);
  hold = () => {
    hold = undefined;
    arrived.resolve();
    return gate.promise;
  };
  const begun = waiting.accessToken();
  await arrived.promise; // its turn will find the tokens that another process stores now
  const { access_token, refresh_token } = await (await world.provider.tokens()).json();
  const expires_at = new Date(world.clock.now() + HOUR).toISOString();
  const entry = { ...backend.rows.get(world.key)!, access_token, refresh_token, expires_at };
  backend.rows.set(world.key, entry);
  const session = await world.signIn({ credentialsBackend: backend, interactive: false });
  assertEquals(await session.accessToken(), access_token);
  const forced = renew(session); // as after a 401
  await (await fetch(world.api.apiHost)).body?.cancel(); // it has joined what can be joined
  gate.resolve();
  assertEquals(await begun, access_token);
  assert(await forced !== access_token);
  assertEquals(await forced, backend.rows.get(world.key)!.access_token);
});

test("401: without a refresh token the refused one is not handed out again", async (world) => {
  answerWith(world, { refresh_token: undefined });
  const session = await world.signIn();
  world.api.reject(2);
  const error = await assertRejects(() => session.get("thing"), ApiError);
  assertEquals([error.status, world.api.requests.length], [401, 1]);
  await rejectsWith("login_required", () => renew(session));
});

test("401: the caller's signal ends the look whether the sign-in is stored", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  world.api.reject(3);
  await assertRejects(() => session.get("thing"), ApiError); // from now no 401 leads to a refresh
  const stop = new AbortController();
  backend.calls.length = 0;
  backend.before = (method) => {
    if (method !== "get" || backend.calls.length === 1) return; // of a newer token
    stop.abort(new Error("enough"));
    return new Promise(() => {});
  };
  await assertRejects(() => session.get("thing", {}, { signal: stop.signal }), Error, "enough");
});
