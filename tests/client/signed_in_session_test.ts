import { assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { init } from "../../client/init.ts";
import type { Session } from "../../client/session.ts";
import { assertCode, scriptedWorld, SpyBackend } from "./fixtures.ts";

const HOUR = 3600_000;

Deno.test("session: status tells who, until when, and where, without network", async () => {
  await using world = await scriptedWorld();
  const session = await createSession({ ...world.options, scope: "openid offline_access" });
  world.provider.reset();
  assertEquals(await session.status(), {
    kind: "oidc",
    signedIn: true,
    subject: "analyst@example.com",
    name: "Ada Analyst",
    email: "analyst@example.com",
    expiresAt: new Date(world.clock.now() + HOUR),
    refreshable: true,
    scope: "openid offline_access",
    backend: {
      name: "MemoryCredentialsBackend",
      location: "the memory of this process",
      persistent: false,
      declaresPermissions: true,
    },
  });
  assertEquals([world.provider.requests, world.api.requests], [[], []]);
});

Deno.test("session: status without ID token, refresh token and backend details", async () => {
  await using world = await scriptedWorld();
  world.provider.script.token.push(() =>
    world.provider.tokens({ id_token: undefined, refresh_token: undefined })
  );
  const options = { ...world.options, credentialsBackend: new SpyBackend(), scope: "openid" };
  const session = await createSession(options);
  const expiresAt = new Date(world.clock.now() + HOUR);
  const fixed = { kind: "oidc", expiresAt, refreshable: false, scope: "openid" };
  const backend = { name: "SpyBackend", declaresPermissions: false };
  assertEquals(await session.status() as unknown, { ...fixed, signedIn: true, backend });
  world.clock.advance(HOUR);
  assertEquals(await session.status() as unknown, { ...fixed, signedIn: false, backend });
});

Deno.test("session: status after clear", async () => {
  await using world = await scriptedWorld();
  const session = await createSession({ ...world.options, scope: "openid" });
  await session.clear();
  const { kind, signedIn, refreshable, subject } = await session.status();
  assertEquals([kind, signedIn, refreshable, subject], ["oidc", false, false, undefined]);
});

const USES: [what: string, use: (session: Session) => Promise<unknown>][] = [
  ["accessToken", (session) => session.accessToken()],
  ["headers", (session) => session.headers()],
  ["fetch", (session) => session.fetch("thing")],
  ["get", (session) => session.get("thing")],
  ["post", (session) => session.post("thing", { json: {} })],
];

for (const [what, use] of USES) {
  Deno.test(`session: ${what} after close`, async () => {
    await using world = await scriptedWorld();
    const session = await createSession(world.options);
    await session.close();
    await session.close();
    await assertCode(() => use(session), "session_closed", "createSession()");
    assertEquals(world.api.requests, []);
    assertEquals(world.stored().client_id, world.provider.clientId); // closing is no sign-out
  });
}

Deno.test("session: await using closes it, and leaves the backend open", async () => {
  await using world = await scriptedWorld();
  let closed = 0;
  const backend = Object.assign(new SpyBackend(), { close: () => void closed++ });
  let kept: Session;
  {
    await using session = await createSession({ ...world.options, credentialsBackend: backend });
    kept = session;
  }
  await assertCode(() => kept.accessToken(), "session_closed");
  assertEquals(closed, 0);
});

Deno.test("session: headers have the bearer, and with init the model's", async () => {
  await using world = await scriptedWorld();
  const plain = await createSession(world.options);
  const authorization = `Bearer ${world.stored().access_token}`;
  assertEquals([...await plain.headers()], [["authorization", authorization]]);
  const full = await init({ ...world.options, model: "m" });
  assertEquals([...(await full.headers()).keys()], [
    "authorization",
    "x-library-version",
    "x-model-cuid",
    "x-monitoring",
  ]);
});

Deno.test("session: changing the headers that were given out changes nothing", async () => {
  await using world = await scriptedWorld();
  const session = await createSession(world.options);
  (await session.headers()).set("authorization", "Bearer other");
  assertEquals((await session.headers()).get("authorization")?.endsWith("other"), false);
});

Deno.test("session: accessToken with an aborted signal", async () => {
  await using world = await scriptedWorld();
  const session = await createSession(world.options);
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const run = () => session.accessToken({ forceRefresh: true, signal });
  assertEquals(await assertRejects(run), reason);
});
