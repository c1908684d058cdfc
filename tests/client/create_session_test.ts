import { assertEquals } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { oidcProviderWorld, test } from "../support/provider_world.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const SCOPES: [stored: string | null | undefined, asked: string, prompts: number][] = [
  ["openid offline_access", "openid offline_access email", 2],
  ["openid offline_access email", "openid offline_access", 1],
  ["offline_access openid", "openid offline_access", 1],
  ["openid", "open", 2],
  ["", "openid", 2],
  [undefined, "openid offline_access email", 1],
  [null, "openid offline_access email", 1],
];

for (const [stored, asked, prompts] of SCOPES) {
  test(`sign-in: stored scope "${stored}", asked "${asked}"`, async (world) => {
    await createSession({ ...world.options, scope: "openid offline_access" });
    world.amend({ scope: stored });
    await createSession({ ...world.options, scope: asked });
    assertEquals(world.codes.length, prompts);
    assertEquals<unknown>(world.stored().scope, prompts === 2 ? asked : stored);
  });
}

test("sign-in: interactive false, as an option or a variable, fails without a request", async (world) => {
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const run = () => createSession({ ...options, interactive: false });
  await rejectsWith("login_required", run, world.provider.issuer);
  Deno.env.set("VM_OIDC_INTERACTIVE", "0");
  await rejectsWith("login_required", () => createSession(options));
  assertEquals([world.provider.requests, backend.calls], [[], ["get", "get"]]);
  await createSession({ ...options, interactive: true });
  assertEquals(world.codes.length, 1);
});

Deno.test("sign-in: without a refresh token a session ends with login_required, unasked", async () => {
  await using world = await oidcProviderWorld({ issueRefreshToken: false });
  const session = await createSession(world.options);
  world.clock.advance(3600_000);
  await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
  assertEquals(world.codes.length, 1);
  await createSession(world.options); // this one may ask
  assertEquals(world.codes.length, 2);
});
