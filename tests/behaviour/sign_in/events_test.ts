import type { AuthEvent } from "@validmind/auth";
import { assert, assertEquals } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { HOUR, type ScriptedWorld, test } from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Options by which sessions of a world tell what happens, and what they have told. */
function listen(world: ScriptedWorld) {
  const events: AuthEvent[] = [];
  const onEvent = (event: AuthEvent) => void events.push(event);
  /** The events since the last call, without what all have in common, and without each request. */
  const heard = () =>
    events.splice(0).filter(({ type }) => type !== "provider_answered").map((event) => {
      const { time, issuer, clientId, ...rest } = event;
      assert(time instanceof Date);
      assertEquals([issuer, clientId], [world.provider.issuer, world.provider.clientId]);
      return rest as Record<string, unknown>;
    });
  return { onEvent, heard };
}

test("events: a sign-in, from its start to the store", async (world) => {
  const { onEvent, heard } = listen(world);
  const { token } = world.provider.script;
  token.push(() => oauthError("authorization_pending"), () => oauthError("slow_down"));
  token.push(() => new Response("<html>", { status: 502 }));
  const start = world.clock.now();
  await world.signIn({ onEvent });
  const told = heard();
  const [first, shown, ...rest] = told;
  assertEquals(first, { type: "sign_in_started" });
  assertEquals(shown!.type, "code_shown");
  assert((shown!.expiresAt as Date).getTime() > start);
  const expiresAt = new Date(world.clock.now() + HOUR);
  const interval = 1000; // the scripted provider's
  assertEquals(rest, [
    { type: "sign_in_waiting", answer: "pending", nextPollMs: interval },
    { type: "sign_in_waiting", answer: "slow_down", nextPollMs: interval + 5000 },
    { type: "sign_in_waiting", answer: "fault", nextPollMs: 2 * (interval + 5000) },
    { type: "sign_in_approved" },
    { type: "stored", backend: "MemoryCredentialsBackend", expiresAt },
    { type: "signed_in", expiresAt },
  ]);
  assertNoSecret(told, [...tokensOf(world.stored()), world.codes[0]!.userCode]);
});

test("events: a sign-in that ends otherwise tells how", async (world) => {
  const { onEvent, heard } = listen(world);
  for (
    const [oauth, reason, code] of [
      ["access_denied", "denied", "device_code_denied"],
      ["expired_token", "expired", "device_code_expired"],
      ["invalid_client", "error", "provider_refused"],
    ] as const
  ) {
    world.provider.script.token.push(() => oauthError(oauth));
    await rejectsWith(code, () => world.signIn({ onEvent }));
    assertEquals(heard().at(-1), { type: "sign_in_failed", reason, code });
  }
});

test("events: a sign-in that its signal ends is interrupted", async (world) => {
  const controller = new AbortController();
  const failed = Promise.withResolvers<AuthEvent>();
  const onEvent = (event: AuthEvent) => {
    if (event.type === "sign_in_failed") failed.resolve(event);
  };
  world.provider.script.token.push(() => oauthError("authorization_pending"));
  world.clock.onDelay = () => controller.abort();
  await world.signIn({ onEvent, signal: controller.signal }).catch(() => undefined);
  const { type, ...rest } = await failed.promise;
  assertEquals([type, (rest as { reason: string }).reason], ["sign_in_failed", "interrupted"]);
});

test("events: a refresh, one that is joined, one that fails, and a sign-out", async (world) => {
  const { onEvent, heard } = listen(world);
  const session = await world.signIn({ onEvent });
  const other = await world.signIn({ onEvent });
  heard();
  world.clock.advance(HOUR);
  await Promise.all([session.accessToken(), other.accessToken()]);
  const expiresAt = new Date(world.clock.now() + HOUR);
  assertEquals(heard(), [
    { type: "refresh_joined" },
    { type: "refresh_started" },
    { type: "refresh_done", expiresAt },
    { type: "stored", backend: "MemoryCredentialsBackend", expiresAt },
  ]);
  world.clock.advance(HOUR);
  world.provider.script.token.push(() => oauthError("invalid_client"));
  await rejectsWith("provider_refused", () => session.accessToken());
  assertEquals(heard(), [
    { type: "refresh_started" },
    { type: "refresh_failed", code: "provider_refused" },
  ]);
  await session.clear();
  assertEquals(heard(), [{ type: "cleared", removed: true, revocation: "not_requested" }]);
});

test("events: what the hook throws, now or later, costs nothing", async (world) => {
  const now = () => {
    throw new Error("log");
  };
  for (const onEvent of [now, () => Promise.reject(new Error("log"))]) {
    const session = await world.signIn({ onEvent });
    await session.clear();
  }
  assertEquals(world.codes.length, 2);
});
