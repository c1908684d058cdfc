import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { type AuthlibOddity, startOpServer } from "../../../support/servers/op_server.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { AUTHLIB } from "../../../behaviour/providers/authlib.ts";
import { OpProvider } from "../../../behaviour/providers/op_provider.ts";
import { MatrixWorld } from "../../../behaviour/providers/world.ts";

const live = await liveTests("authlib");
const server = await live.shared(() => startOpServer("authlib"));
live.afterAll(async () => await server[Symbol.asyncDispose]());

const HOUR = 3600_000;

/** Deviations that people need not notice. */
const TOLERATED: AuthlibOddity[] = [
  "numeric_strings",
  "ok_errors",
  "big_int",
  "html_type",
  "scope_list",
  "keys_without_kid",
  "float_times",
];

for (const oddity of TOLERATED) {
  live.test(`Authlib deviates by ${oddity}: sign-in, refresh and sign-out work`, async () => {
    await using provider = await OpProvider.start(server);
    await provider.op.set({ oddities: [oddity] });
    await using world = await MatrixWorld.make(AUTHLIB, provider);
    await using session = await createSession(world.options);
    const first = await world.stored();
    const lifeMs = Date.parse(first.expires_at!) - world.clock.now();
    assert(Math.abs(lifeMs - HOUR) < 5000, `${lifeMs}`);
    world.clock.advance(HOUR);
    await session.accessToken();
    const second = await world.stored();
    assertNotEquals(second.refresh_token, first.refresh_token);
    assert(await provider.isActive(second.access_token));
    const { scope, grantedScope } = await session.status();
    assertEquals([scope, grantedScope], ["openid profile email offline_access", undefined]);
    const { revocation } = await session.clear({ revoke: true });
    assertEquals([revocation, world.codes.length], ["revoked", 1]);
    assertEquals(await provider.isActive(second.refresh_token!), false);
  });
}

live.test("Authlib's Date has the time of another zone: it is not believed", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["local_date"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  const { now: _, ...options } = world.options; // this computer's clock, put right by the provider's
  await using session = await createSession(options);
  for (let time = 0; time < 2; time++) {
    const { expires_at } = await world.stored();
    assert(Math.abs(Date.parse(expires_at!) - Date.now() - HOUR) < 60_000, `${expires_at}`);
    await session.accessToken({ forceRefresh: true });
  }
});

live.test("Authlib answers errors with 200: each decides what it decides with 400", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["ok_errors"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  world.denies = true;
  await rejectsWith("device_code_denied", () => createSession(world.options), "access_denied");
  world.denies = false;
  await using session = await createSession(world.options);
  await provider.endSession();
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("login_required", run, "invalid_grant");
});

live.test("Authlib's tokens never end: the entry has an end that is a date", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["far_end"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  for (const bearer of ["access_token", "id_token"] as const) {
    await using session = await createSession({ ...world.options, bearer });
    await session.accessToken({ forceRefresh: true });
    const { expires_at } = await world.stored();
    assert(Date.parse(expires_at!) > world.clock.now() + 24 * HOUR, `${expires_at}`);
    assert((await session.status()).signedIn);
  }
});

live.test("Authlib gives a sub that is a number: refused, and the rotated token is kept", async () => {
  await using provider = await OpProvider.start(server);
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  await using session = await createSession(world.options);
  const before = await world.stored();
  await provider.op.set({ oddities: ["number_as_sub"] });
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("id_token_invalid", run, '"sub"', "ask who runs");
  const { refresh_token } = await world.stored();
  assertNotEquals(refresh_token, before.refresh_token);
  assert(await provider.isActive(refresh_token!));
  await provider.op.set({});
  await run();
  assertEquals(world.codes.length, 1);
});

live.test("Authlib's ID token is the text of Python's bytes: the token is doubted, not the options", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["bytes_text"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  const words = ["failed to parse JWT", "ask who runs"];
  await rejectsWith("id_token_invalid", () => createSession(world.options), ...words);
});

live.test("Authlib's answer is written by str(): the person is told that it is no JSON", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["repr"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  const run = () => createSession(world.options);
  await rejectsWith("provider_unavailable", run, "status 200 and its body is no valid JSON");
});

live.test("Authlib's answers to polls turn into no JSON: the end of the code says so", async () => {
  await using provider = await OpProvider.start(server);
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  const onDeviceCode = async () => await provider.op.set({ oddities: ["repr"] });
  const run = () => createSession({ ...world.options, onDeviceCode });
  const words = [
    "the code ended without a last word",
    "no valid JSON",
  ];
  await rejectsWith("device_code_expired", run, ...words);
});

live.test("Authlib revokes a refresh token and gives no new one: the reason is told", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ rotate: false, oddities: ["revoked_without_new"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  await using session = await createSession(world.options);
  await session.accessToken({ forceRefresh: true });
  const run = () => session.accessToken({ forceRefresh: true });
  const error = await rejectsWith("login_required", run, "invalid_grant");
  assertStringIncludes((error.cause as Error).message, "invalid_grant");
});

live.test("Authlib revokes for clients with a secret only: signed out here, and the rest is told", async () => {
  await using provider = await OpProvider.start(server);
  await provider.op.set({ oddities: ["basic_revocation"] });
  await using world = await MatrixWorld.make(AUTHLIB, provider);
  await using session = await createSession(world.options);
  const { revocation, reason, keys } = await session.clear({ revoke: true });
  assertEquals([revocation, keys.length], ["failed", 1]);
  assertStringIncludes(reason!, "invalid_client");
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});
