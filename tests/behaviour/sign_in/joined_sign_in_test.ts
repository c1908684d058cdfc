import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";

interface SlowWorld extends ProviderWorld<ScriptedProvider> {
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

function polls(world: ProviderWorld<ScriptedProvider>): number {
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

Deno.test("joined sign-in: who joins and leaves ends its own wait only", async () => {
  await using world = await slowWorld();
  const first = caller(world.options);
  const second = caller(world.options);
  await world.poll();
  second.abort();
  assertEquals(await assertRejects(() => second.result), second.reason);
  world.approve();
  const session = await first.result;
  assertEquals(await session.accessToken(), world.stored().access_token);
  assertEquals(world.codes.length, 1);
});

Deno.test("joined sign-in: who began it may leave, and it goes on for the other", async () => {
  await using world = await slowWorld();
  const first = caller(world.options);
  const second = caller(world.options);
  await world.poll();
  first.abort();
  assertEquals(await assertRejects(() => first.result), first.reason);
  const before = polls(world);
  await world.poll(); // it is asked again, though the first is gone
  world.approve();
  const session = await second.result;
  assertEquals(polls(world), before + 2);
  assertEquals(await session.accessToken(), world.stored().access_token);
  assert(world.provider.isActive(world.stored().access_token));
  assertEquals(world.codes.length, 1);
});

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
  const session = await createSession(world.options);
  assertEquals(await session.accessToken(), world.stored().access_token);
  assertEquals(world.codes.length, 2);
});

const OTHERS: [what: string, change: Partial<SessionOptions>][] = [
  ["another scope", { scope: "openid offline_access more" }],
  ["another bearer", { bearer: "id_token" }],
  ["another audience", { audience: "api" }],
];

for (const [what, change] of OTHERS) {
  Deno.test(`joined sign-in: who asks for ${what} does not join`, async () => {
    await using world = await scriptedProviderWorld();
    const base = { ...world.options, scope: "openid offline_access" };
    const sessions = await Promise.all([
      createSession(base),
      createSession({ ...base, ...change }),
    ]);
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
  for (const { result } of callers) {
    assertEquals(
      (await assertRejects(() => result) as { code?: string }).code,
      "device_code_denied",
    );
  }
  world.provider.autoApprove = true;
  await createSession(world.options);
  assertEquals(world.codes.length, 2);
});
