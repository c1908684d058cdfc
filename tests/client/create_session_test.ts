import { assertEquals } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { withTempHome } from "../support/temp_home.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../support/provider_world.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const HOUR = 3600_000;

const SCOPES: [stored: string | undefined, asked: string, prompts: number][] = [
  ["openid offline_access", "openid offline_access email", 2],
  ["openid offline_access email", "openid offline_access", 1],
  ["offline_access openid", "openid offline_access", 1],
  [undefined, "openid offline_access email", 1],
];

for (const [stored, asked, prompts] of SCOPES) {
  Deno.test(`sign-in: stored scope "${stored}", asked "${asked}"`, async () => {
    await using world = await scriptedProviderWorld();
    await createSession({ ...world.options, scope: "openid offline_access" });
    world.amend({ scope: stored });
    await createSession({ ...world.options, scope: asked });
    assertEquals(world.codes.length, prompts);
    assertEquals(world.stored().scope, prompts === 2 ? asked : stored);
  });
}

Deno.test("sign-in: the scope that was asked for is stored, not the one that was granted", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.token.push(() => world.provider.tokens({ scope: "openid" }));
  const options = { ...world.options, scope: "openid api.read" };
  await createSession(options);
  assertEquals(world.stored().scope, "openid api.read");
  await createSession(options);
  assertEquals(world.codes.length, 1);
});

Deno.test("sign-in: interactive false fails without any request or write", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend, interactive: false };
  await rejectsWith("login_required", () => createSession(options), world.provider.issuer);
  assertEquals([world.provider.requests, backend.calls], [[], ["get"]]);
});

for (const value of ["0", "false", "no", "False"]) {
  Deno.test(`sign-in: VM_OIDC_INTERACTIVE=${value} does, too, unless the option says true`, async () => {
    await using world = await scriptedProviderWorld();
    await withTempHome(async () => {
      Deno.env.set("VM_OIDC_INTERACTIVE", value);
      await rejectsWith("login_required", () => createSession(world.options));
      assertEquals(world.provider.requests, []);
      await createSession({ ...world.options, interactive: true });
      assertEquals(world.codes.length, 1);
    });
  });
}

Deno.test("sign-in: without a refresh token a session ends with login_required, unasked", async () => {
  await using world = await oidcProviderWorld({ issueRefreshToken: false });
  const session = await createSession(world.options);
  assertEquals(world.stored().refresh_token, null);
  world.clock.advance(HOUR);
  await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
  assertEquals(world.codes.length, 1);
  await createSession(world.options); // this one may ask
  assertEquals(world.codes.length, 2);
});
