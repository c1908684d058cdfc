import { createSession, startSignIn } from "@validmind/auth";
import type { OidcCredentials, SessionOptions } from "@validmind/auth";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { paths } from "../../support/request_log.ts";
import { scriptedProviderWorld, type ScriptedWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { hang } from "../../support/http_server.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";

interface SlowWorld extends ScriptedWorld {
  /** Waits until a poll is about to come, lets it come, and waits for its answer. */
  poll(): Promise<void>;
  /** The person approves, and the polls come as they may. */
  approve(): void;
}

/** A world whose person has not approved yet, and where polls come when they are told to. */
async function slowWorld(): Promise<SlowWorld> {
  const world = await scriptedProviderWorld();
  world.provider.autoApprove = false;
  let waiting = Promise.withResolvers<void>();
  let gate = Promise.withResolvers<void>();
  world.clock.onDelay = () => {
    waiting.resolve();
    return gate.promise;
  };
  const poll = async () => {
    await waiting.promise;
    waiting = Promise.withResolvers();
    const open = gate;
    gate = Promise.withResolvers();
    open.resolve();
    await waiting.promise;
  };
  const approve = () => {
    world.clock.onDelay = undefined;
    world.provider.approve();
    gate.resolve();
  };
  return Object.assign(Object.create(world), { poll, approve });
}

function polls(world: ScriptedWorld): number {
  return paths(world.provider.requests).filter((path) => path === "/token").length;
}

/** Signs in until its own signal aborts. */
function caller(options: SessionOptions) {
  const controller = new AbortController();
  const reason = new Error("enough");
  return {
    result: createSession({ ...options, signal: controller.signal }),
    reason,
    abort: () => controller.abort(reason),
  };
}

for (const isFirst of [false, true]) {
  const who = isFirst ? "who began it may leave, and it goes on" : "who joins may leave alone";
  Deno.test(`joined sign-in: ${who} for the other`, async () => {
    await using world = await slowWorld();
    const callers = [caller(world.options), caller(world.options)];
    const [leaving, staying] = isFirst ? callers : callers.toReversed();
    await world.poll();
    leaving!.abort();
    assertEquals(await assertRejects(() => leaving!.result), leaving!.reason);
    const before = polls(world);
    await world.poll(); // it is asked again, though one is gone
    world.approve();
    const session = await staying!.result;
    assertEquals(polls(world), before + 2);
    assertEquals(await session.accessToken(), world.stored().access_token);
    assert(world.provider.isActive(world.stored().access_token));
    assertEquals(world.codes.length, 1);
  });
}

Deno.test("joined sign-in: when all have left it ends, and the next begins anew", async () => {
  await using world = await slowWorld();
  const callers = [caller(world.options), caller(world.options)];
  await world.poll();
  for (const { abort, result } of callers) {
    abort();
    await assertRejects(() => result);
  }
  const before = polls(world);
  world.approve(); // too late for it
  await (await fetch(`${world.provider.issuer}/`)).body?.cancel(); // time for a poll
  assertEquals([polls(world), world.backend.get(world.key)], [before, undefined]);
  world.provider.autoApprove = true;
  const session = await world.signIn();
  assertEquals(await session.accessToken(), world.stored().access_token);
  assertEquals(world.codes.length, 2);
});

const OTHERS: SessionOptions[] = [{ scope: "openid more" }, { bearer: "id_token" }, {
  audience: "a",
}];

for (const change of OTHERS) {
  test(`joined sign-in: who asks for another ${Object.keys(change)} does not join`, async (world) => {
    const base = { scope: "openid offline_access" };
    const options = [base, { ...base, ...change }];
    const sessions = await Promise.all(options.map((one) => world.signIn(one)));
    assertEquals(world.codes.length, 2);
    for (const session of sessions) assertEquals((await session.status()).signedIn, true);
    assertEquals((await sessions[1]!.status()).scope, change.scope ?? base.scope);
  });
}

Deno.test("joined sign-in: a failure is told to all, and the next caller begins anew", async () => {
  await using world = await slowWorld();
  const callers = [caller(world.options), caller(world.options)];
  await world.poll();
  world.provider.deny();
  world.approve();
  for (const { result } of callers) await rejectsWith("device_code_denied", () => result);
  world.provider.autoApprove = true;
  await world.signIn();
  assertEquals(world.codes.length, 2);
});

/** Two programs with one store, of which the first waits for its person. */
function twoPrograms(world: ScriptedWorld) {
  world.provider.autoApprove = false;
  const { onDeviceCode: _, ...options } = world.options;
  const [first, second] = [new SpyBackend(), new SpyBackend()];
  Object.assign(second, { rows: first.rows });
  const store = (entry: Record<string, unknown>) => first.rows.set(world.key, entry as never);
  /** The other program's sign-in. */
  const signIn = async () => {
    world.clock.onDelay = undefined;
    world.provider.autoApprove = true;
    await (await world.signIn({ credentialsBackend: second })).close();
  };
  return { options: { ...options, credentialsBackend: first }, first, store, signIn };
}

test("joined sign-in: another program's on the same store ends the wait, and its prompt", async (world) => {
  const { options, first, signIn } = twoPrograms(world);
  using kernel = new FakeKernel();
  const events: string[] = [];
  let looks = 0;
  world.clock.onDelay = async (count) => {
    if (count === 1) looks = first.calls.length;
    if (count < 4) return;
    looks = first.calls.length - looks;
    await signIn();
  };
  const onEvent = ({ type }: { type: string }) => void events.push(type);
  let reason: unknown;
  const delay = (ms: number, signal?: AbortSignal) => {
    signal?.addEventListener("abort", () => reason = signal.reason);
    return world.clock.delay(ms, signal);
  };
  await using session = await createSession({ ...options, onEvent, delay });
  assertEquals(looks, 3); // one after each poll
  assertStringIncludes(`${reason}`, "another program has signed in");
  assertNoSecret(reason, tokensOf(first.rows.get(world.key)!)); // a caller may print it
  assertEquals(await session.accessToken(), first.rows.get(world.key)!.access_token);
  assertEquals(events.slice(-2), ["sign_in_joined", "signed_in"]);
  assertEquals(events.includes("sign_in_failed"), false);
  assertEquals(kernel.displays.length, 2);
  const end = kernel.displays[1]!.data["text/plain"]!;
  assert(end.startsWith("Signed in") && end.includes("at another prompt"), end);
});

test("joined sign-in: another program's ends the wait for a browser, and its second step", async (world) => {
  const { first, signIn } = twoPrograms(world);
  world.provider.discovery = { authorization_endpoint: `${world.provider.issuer}/authorize` };
  const { onDeviceCode: _1, now: _2, delay: _3, ...rest } = browserOptions(world);
  const waits = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  let count = 0;
  const delay = (ms: number) => (assertEquals(ms, 5000), waits[count++]!.promise);
  const options = { ...rest, credentialsBackend: first, delay, onAuthorizationUrl() {} };
  await using started = await startSignIn(options);
  waits[0]!.resolve();
  await signIn();
  waits[1]!.resolve();
  await using session = await started.finish();
  assertEquals(await session.accessToken(), first.rows.get(world.key)!.access_token);
  assertEquals(await started.finish("http://127.0.0.1/?code=c&state=s"), session);
});

test("joined sign-in: a store that hangs is looked into before and under the lock at the approval, and holds up no poll", async (world) => {
  const { options, first } = twoPrograms(world);
  let begun = 0;
  world.clock.onDelay = (count) => {
    if (count === 1) begun = first.calls.length;
    first.before = (method) => method === "get" ? new Promise(() => {}) : undefined;
    if (count === 4) world.provider.approve();
  };
  const session = await createSession({ ...options, onDeviceCode: () => {} });
  assertEquals(first.calls.slice(begun), ["get", "get", "get", "put"]);
  first.before = undefined;
  await session.close();
});

test("joined sign-in: no other entry ends a wait, and no fault of the store", async (world) => {
  const { options, first, store, signIn } = twoPrograms(world);
  const { issuer, clientId: client_id } = world.provider;
  const ended = new Date(world.clock.now() + 60_000).toISOString(); // in its last minutes
  const alive = new Date(world.clock.now() + 3600_000).toISOString();
  const entry = { issuer, client_id, access_token: "t", expires_at: ended };
  const others: (() => void)[] = [
    () => store({ ...entry, refresh_token: "r" }),
    () => store({ ...entry, expires_at: alive, scope: "openid" }),
    () => store({ ...entry, expires_at: alive, access_token: "a\nb" }),
    () => store({ ...entry, expires_at: "2999" }),
    () => store({ expires_at: alive }),
    () => first.before = () => Promise.reject(new Error("a fault")),
  ];
  let tried = 0;
  world.clock.onDelay = async () => {
    first.before = undefined;
    const other = others[tried++];
    if (other !== undefined) other();
    else await signIn();
  };
  await using session = await createSession({ ...options, onDeviceCode: () => {} });
  assertEquals(tried, others.length + 1);
  assertEquals(await session.accessToken(), first.rows.get(world.key)!.access_token);
});

const REASON = new Error("enough");

/** A backend whose write of an entry waits at a gate. */
function gatedBackend() {
  const backend = new SpyBackend();
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  backend.before = async (method, key) => {
    if (method !== "put" || key.startsWith("probe|")) return;
    arrived.resolve();
    await gate.promise;
  };
  const entry = (): OidcCredentials | undefined => backend.rows.values().next().value;
  return { backend, arrived: arrived.promise, open: () => gate.resolve(), entry };
}

test.real("after the approval: an abort while the tokens are stored ends the wait, and they are kept", async (world) => {
  const { backend, arrived, open, entry } = gatedBackend();
  const stop = new AbortController();
  const options = { credentialsBackend: backend, signal: stop.signal };
  const { prompt, session } = await startBrowserFlow(world, options);
  const failed = assertRejects(() => session);
  const page = world.provider.follow(prompt.url);
  await arrived;
  stop.abort(REASON);
  assertEquals(await failed, REASON);
  open();
  assertEquals((await page).title, "Your answer has arrived");
  await new Promise((resolve) => setTimeout(resolve, 0)); // the write goes on by itself
  assert(await world.provider.isActive(entry()!.access_token));
  const later = { ...browserOptions(world), credentialsBackend: backend, interactive: false };
  await (await createSession(later)).close();
});

test("after the approval: an abort ends the wait for tokens, and their request", async (world) => {
  const stop = new AbortController();
  const cut = Promise.withResolvers<void>();
  world.provider.script.token.push((request) => {
    request.signal.addEventListener("abort", () => cut.resolve());
    stop.abort(REASON);
    return hang(request);
  });
  const run = () => world.signIn({ signal: stop.signal });
  assertEquals(await assertRejects(run), REASON);
  await cut.promise;
});

Deno.test("joined sign-in: who joins one that is shown elsewhere is told so", async () => {
  await using world = await slowWorld();
  const { onDeviceCode: _, ...options } = world.options;
  using streams = new OwnStreams();
  const callers = [caller(options), caller(options)];
  await world.poll();
  const told = streams.written.stderr.match(/A sign-in of an earlier call waits/g);
  assertEquals(told?.length, 1);
  world.approve();
  for (const { result } of callers) await (await result).close();
});
