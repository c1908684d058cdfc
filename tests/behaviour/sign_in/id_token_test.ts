import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { authorizeDevice, pollDevice } from "../../../client/provider/device_grant.ts";
import { refreshTokens } from "../../../client/provider/refresh_grant.ts";
import { providerOf } from "../../support/provider_of.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { json } from "../../support/http_server.ts";
import { makeSigningKey } from "../../support/jwt.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("ID token: keys out of reach at refresh cost the ID token, not the new tokens", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = providerOf(world);
  for (let time = 0; time < 3; time++) {
    world.provider.script.jwks.push(() => new Response("busy", { status: 503 }));
  }
  world.provider.script.token.push(() =>
    world.provider.tokens({ access_token: "access-2", refresh_token: "refresh-2", expires_in: 60 })
  );
  assertEquals(await refreshTokens(provider, { refreshToken: "refresh-1" }), {
    tokens: { accessToken: "access-2", refreshToken: "refresh-2", expiresIn: 60, scope: "openid" },
  });
  assertEquals(world.clock.delays, [500, 1000]);
});

Deno.test("ID token: keys that were replaced seconds after they were fetched are fetched once more", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = providerOf(world);
  const key = await makeSigningKey();
  const who = { iss: world.provider.issuer, sub: "analyst@example.com" };
  await pollDevice(provider, await authorizeDevice(provider));
  world.provider.reset();
  const { jwks, token } = world.provider.script;
  jwks.push(() => json({ keys: [key.publicJwk] }));
  const id_token = await world.provider.idToken(who, { key });
  for (let time = 0; time < 2; time++) { // the second time by the keys in memory
    token.push(() => world.provider.tokens({ id_token }));
    const { tokens } = await refreshTokens(provider, { refreshToken: "r", subject: who });
    assertEquals(tokens?.idToken, id_token);
  }
  assertEquals(world.provider.requests.filter(({ path }) => path === "/jwks").length, 1);
});

Deno.test("ID token: a key that is nowhere is looked for once", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = providerOf(world);
  const key = await makeSigningKey();
  const who = { iss: world.provider.issuer, sub: "analyst@example.com" };
  const id_token = await world.provider.idToken(who, { key });
  world.provider.script.token.push(() => world.provider.tokens({ id_token }));
  const answer = await refreshTokens(provider, { refreshToken: "r", subject: who });
  assertStringIncludes(
    answer.tokens === undefined ? answer.error.message : "",
    "no applicable keys found",
  );
  assertEquals(world.provider.requests.filter(({ path }) => path === "/jwks").length, 1);
});

Deno.test("ID token: a single key without an id is the key of any id", async () => {
  await using world = await scriptedProviderWorld();
  const { kid: _, ...nameless } = world.provider.signingKey.publicJwk as { kid?: string };
  world.provider.script.jwks.push(() => json({ keys: [nameless] }));
  const session = await createSession(world.options);
  assertEquals(typeof (await session.status()).expiresAt, "object");
  world.provider.script.jwks.push(() => json({ keys: [nameless, nameless] }));
  const run = () => createSession({ ...world.options, profile: "other" });
  await rejectsWith("id_token_invalid", run);
});
