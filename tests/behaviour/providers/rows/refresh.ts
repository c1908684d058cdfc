import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { runTogether } from "../../../support/run_together.ts";
import { isTold } from "../faults.ts";
import type { Outage } from "../gateway.ts";
import type { MatrixProvider } from "../provider.ts";
import type { Row } from "../rows.ts";
import { MatrixWorld } from "../world.ts";

const DAY = 24 * 3600_000;
const REFRESHED: [string, number][] = [["refresh_token", 200]];
/** Processes that start at the same time. */
const STAMPEDE = 8;

const JOB = `
  import { createSession, FileCredentialsBackend } from "@validmind/auth";
  const { path, ...options } = JSON.parse(Deno.args[0]);
  const credentialsBackend = new FileCredentialsBackend({ path });
  await using session = await createSession({ ...options, credentialsBackend, interactive: false });
  console.log(await session.accessToken());
`;

/** Tokens are renewed, by one process at a time. */
export const REFRESH_ROWS = {
  async "refresh with rotation"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const before = await world.stored();
    world.clock.advance(DAY);
    await session.accessToken();
    const after = await world.stored();
    assertNotEquals(after.access_token, before.access_token);
    assertNotEquals(after.refresh_token, before.refresh_token);
    assert(await provider.isActive(after.access_token));
    assertEquals([provider.gateway.grants.slice(1), world.codes.length], [REFRESHED, 1]);
  },

  async "refresh token used twice"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    const { refresh_token } = await world.stored();
    await session.accessToken({ forceRefresh: true });
    const theft = await refreshAsThief(world, provider, refresh_token!);
    assertEquals(theft, [400, "invalid_grant"]);
    await isTold(
      world,
      "A copied refresh token was used",
      () => session.accessToken({ forceRefresh: true }),
    );
  },

  async "stampede"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    const [key] = await world.keys();
    await world.backend.put(key!, { ...await world.stored(), expires_at: "2020-01-01T00:00:00Z" });
    provider.gateway.reset();
    const { issuer, clientId } = world.options;
    const args = [JSON.stringify({ issuer, clientId, path: world.path })];
    const job = { code: JOB, flags: ["-A"], args, timeoutMs: 120_000 };
    const results = await runTogether(STAMPEDE, job);
    assertEquals(results.map(({ code, stderr }) => [code, stderr]), results.map(() => [0, ""]));
    assertEquals(new Set(results.map(({ stdout }) => stdout)).size, 1);
    assertEquals(provider.gateway.grants, REFRESHED);
  },

  "provider refuses connections": (kind, provider) =>
    outage(MatrixWorld.make(kind, provider), "refused"),

  "provider is silent": (kind, provider) => outage(MatrixWorld.make(kind, provider), "silent"),

  "provider answers 503": (kind, provider) => outage(MatrixWorld.make(kind, provider), "503"),

  async "answer to a refresh lost"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    await provider.gateway.fail("answer lost");
    const run = () => session.accessToken({ forceRefresh: true });
    await isTold(world, "The answer to a refresh is lost", run);
    await isTold(world, "The refresh after one whose answer was lost", run);
  },

  async "session ended"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    await provider.endSession();
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "An administrator has ended the session", start);
    world.denies = false;
    await using session = await createSession(world.options); // and the person can sign in again
    assert(await provider.isActive(await session.accessToken()));
    assertEquals(world.codes.length, 2);
  },

  async "person disabled"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await (await createSession(world.options)).close();
    await provider.disablePerson();
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "The person's account is disabled", start);
  },

  async "keys rotated"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    await using session = await createSession(world.options);
    await provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    const { id_token } = await world.stored();
    await provider.rotateKeys();
    await session.accessToken({ forceRefresh: true });
    assertNotEquals((await world.stored()).id_token, id_token);
    assertEquals(world.codes.length, 1);
  },
} satisfies Record<string, Row>;

const FAULTS = {
  refused: "The provider refuses connections",
  silent: "The provider does not answer",
  "503": "A load balancer answers in the provider's place",
} as const;

/** The entry outlives an outage, and a person who is not asked meanwhile is told the reason. */
async function outage(
  made: Promise<MatrixWorld>,
  how: Exclude<Outage, "answer lost">,
): Promise<void> {
  await using world = await made;
  const { gateway } = world.provider;
  await using session = await createSession({ ...world.options, timeoutMs: 1000 });
  const before = await world.stored();
  world.clock.advance(DAY);
  await gateway.fail(how);
  await isTold(world, FAULTS[how], () => session.accessToken());
  const start = () => createSession({ ...world.options, interactive: false, timeoutMs: 1000 });
  await isTold(world, FAULTS[how], start);
  assertEquals(await world.stored(), before);
  await gateway.fail(undefined);
  assertNotEquals(await session.accessToken(), before.access_token);
  assertEquals(world.codes.length, 1);
}

/** Status and error of a refresh by somebody who copied the token. */
async function refreshAsThief(
  { client: { clientId } }: MatrixWorld,
  { issuer }: MatrixProvider,
  refreshToken: string,
): Promise<[number, string]> {
  const discovery = await fetch(`${issuer}/.well-known/openid-configuration`);
  const { token_endpoint } = await discovery.json();
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: clientId,
    refresh_token: refreshToken,
  });
  const response = await fetch(token_endpoint, { method: "POST", body });
  return [response.status, (await response.json()).error];
}
