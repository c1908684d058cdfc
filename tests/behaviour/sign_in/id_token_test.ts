import { assertEquals } from "@std/assert";
import { authorizeDevice, pollDevice } from "../../../client/provider/device_grant.ts";
import { refreshTokens } from "../../../client/provider/refresh_grant.ts";
import { oauthError, type ScriptedProvider } from "../../support/scripted_provider.ts";
import { providerOf } from "../../support/provider_of.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";

Deno.test("ID token: a good one is taken, and its end is told", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = providerOf(world);
  const exp = Math.floor(Date.now() / 1000) + 77;
  const id_token = await world.provider.idToken({ exp, aud: [world.provider.clientId] });
  world.provider.script.token.push(() => world.provider.tokens({ id_token }));
  const tokens = await pollDevice(provider, await authorizeDevice(provider));
  assertEquals([tokens.idToken, tokens.idTokenExpiry], [id_token, exp]);
});

Deno.test("ID token: none is fine, and then no key is asked for", async () => {
  await using world = await scriptedProviderWorld();
  const { provider } = providerOf(world);
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  const tokens = await pollDevice(provider, await authorizeDevice(provider));
  assertEquals("idToken" in tokens, false);
  assertEquals(world.provider.requests.some(({ path }) => path === "/jwks"), false);
});

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
    tokens: { accessToken: "access-2", refreshToken: "refresh-2", expiresIn: 60 },
  });
  assertEquals(world.clock.delays, [500, 1000]);
});

Deno.test("ID token: keys that turn out not to be needed are not waited for, by the process neither", async () => {
  await using world = await scriptedProviderWorld();
  const who = { iss: world.provider.issuer, sub: "analyst@example.com" };
  for (const answer of [() => oauthError("invalid_grant"), () => tokensWithoutId(world)]) {
    let signal: AbortSignal | null | undefined;
    const slow = spyFetch((url, init) => {
      if (!url.endsWith("/jwks")) return fetch(url, init);
      signal = init.signal;
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(new Error()))
      );
    });
    world.provider.script.token.push(answer);
    await refreshTokens(providerOf(world, { fetch: slow }).provider, {
      refreshToken: "refresh-1",
      subject: who,
    }).catch(() => {});
    assertEquals(signal?.aborted, true);
  }
});

function tokensWithoutId({ provider }: ProviderWorld<ScriptedProvider>): Promise<Response> {
  return provider.tokens({ id_token: undefined });
}
