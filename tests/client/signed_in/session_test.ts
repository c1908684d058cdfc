import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { init } from "../../../client/init.ts";
import type { Session } from "../../../client/session.ts";
import { VERSION } from "../../../client/signed_in/session.ts";
import { HOUR, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

test("session: status tells who, until when, and where, without network", async (world) => {
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

test("session: status without ID token, refresh token and backend details", async (world) => {
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

test("session: status shows no control characters of a provider or a backend", async (world) => {
  const odd = "a\x1b]0;x\x07b\u202ec\nd";
  const credentialsBackend = Object.assign(new SpyBackend(), { location: odd });
  const claims = { sub: odd, name: odd, email: `${odd}${"x".repeat(1000)}` };
  world.provider.script.token.push(async () =>
    world.provider.tokens({ id_token: await world.provider.idToken(claims) })
  );
  const session = await createSession({ ...world.options, credentialsBackend });
  const { subject, name, email, backend } = await session.status();
  for (const text of [subject, name, email, backend?.location]) {
    assertEquals(text?.startsWith("a ]0;x b c d"), true, text);
    assertEquals(text!.length <= 256, true);
  }
});

const USES: ((session: Session) => Promise<unknown>)[] = [
  (session) => session.accessToken(),
  (session) => session.headers(),
  (session) => session.fetch("thing"),
  (session) => session.get("thing"),
  (session) => session.post("thing", { json: {} }),
];

test.signedIn("session: after close nothing is sent, and the sign-in stays", async ({ session, ...world }) => {
  await session.close();
  await session.close();
  for (const use of USES) {
    await rejectsWith("session_closed", () => use(session), "createSession()");
  }
  assertEquals(world.api.requests, []);
  assertEquals(world.stored().client_id, world.provider.clientId);
});

test("session: await using closes it, and leaves the backend open", async (world) => {
  let closed = 0;
  const backend = Object.assign(new SpyBackend(), { close: () => void closed++ });
  let kept: Session;
  {
    await using session = await createSession({ ...world.options, credentialsBackend: backend });
    kept = session;
  }
  await rejectsWith("session_closed", () => kept.accessToken());
  assertEquals(closed, 0);
});

test("session: headers have the bearer, and with init the model's", async (world) => {
  const plain = await createSession(world.options);
  const authorization = `Bearer ${world.stored().access_token}`;
  (await plain.headers()).set("authorization", "Bearer other"); // changes no other's
  assertEquals([...await plain.headers()], [["authorization", authorization]]);
  const full = await init({ ...world.options, model: "m" });
  assertEquals([...(await full.headers()).keys()], [
    "authorization",
    "x-library-version",
    "x-model-cuid",
    "x-monitoring",
  ]);
});

test("session: printed, it tells who, where and until when, and nothing that is empty", async (world) => {
  const session = await init({ ...world.options, model: "cl123" });
  const expiresAt = Deno.inspect(new Date(world.clock.now() + 3600_000));
  assertEquals(
    Deno.inspect(session),
    `Session {
  signedIn: "analyst@example.com",
  issuer: "${world.provider.issuer}",
  apiHost: "${world.api.apiHost}",
  model: "cl123",
  backend: "MemoryCredentialsBackend: the memory of this process",
  validUntil: ${expiresAt}
}`,
  );
  await session.clear();
  assertStringIncludes(Deno.inspect(session), "signedIn: false");
  const { kind, signedIn, refreshable, subject } = await session.status();
  assertEquals([kind, signedIn, refreshable, subject], ["oidc", false, false, undefined]);
});

test("session: printed, the person has the best name that is known", async (world) => {
  const { provider } = world;
  const [email, name] = [undefined, undefined];
  const person = { sub: "s-1", name: "Ada", email: "ada@example.com" };
  for (
    const [claims, who] of [[{}, person.email], [{ email }, "Ada"], [
      { email, name },
      "s-1",
    ]] as const
  ) {
    const id_token = await provider.idToken({ ...person, ...claims });
    provider.script.token.push(() => provider.tokens({ id_token }));
    const session = await createSession({ ...world.options, profile: who.replace("@", "-") });
    assertStringIncludes(Deno.inspect(session), `signedIn: "${who}"`);
  }
  provider.script.token.push(() => provider.tokens({ id_token: undefined }));
  assertStringIncludes(Deno.inspect(await createSession(world.options)), "signedIn: true");
});

Deno.test("session: with an API key it shows that, and no key", async () => {
  const key = { apiKey: "key-of-somebody", apiSecret: "secret-of-somebody" };
  const session = await createSession({ ...key, apiHost: "http://localhost:1/" });
  assertEquals(
    Deno.inspect(session),
    `Session { apiKey: true, apiHost: "http://localhost:1/" }`,
  );
});

import config from "../../../deno.json" with { type: "json" };

Deno.test("VERSION is the version in deno.json", () => {
  assertEquals(VERSION, config.version);
});
