import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { clearOidcCredentials, init } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { HOUR, test } from "../../support/provider_world.ts";

test.real("profile: two people at one client, at once in one process", async (world) => {
  const logins = ["ada@example.com", "grace@example.com"];
  world.clock.onDelay = async () => {
    const { userCode } = world.codes.at(-1)!;
    await world.provider.approve(userCode, { login: logins[world.codes.length - 1]! });
  };
  const ada = await createSession({ ...world.options, profile: "ada" });
  const grace = await createSession({ ...world.options, profile: "grace" });
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
    assertEquals((await createSession(world.options)).profile, "env");
    assertEquals((await createSession({ ...world.options, profile: "own" })).profile, "own");
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
    await createSession({ ...world.options, ...(profile && { profile }) });
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
  const one = await createSession({ ...world.options, profile: "one" });
  const two = await createSession({ ...world.options, profile: "two" });
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
      world.provider.script.token.push(() => world.provider.tokens({ id_token }));
      await createSession({ ...options, profile: name! });
      assert(said.join("").includes(`Signed in as ${value}`), said.join(""));
    }
    assert(!said.join("").includes("offline_access"), said.join(""));
    world.provider.script.token.push(() => world.provider.tokens({ refresh_token: undefined }));
    await createSession({ ...options, profile: "unrefreshable" });
    assert(said.join("").includes("offline_access"), said.join(""));
  } finally {
    Reflect.deleteProperty(Deno.stderr, "write");
  }
});
