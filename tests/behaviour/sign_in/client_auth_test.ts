import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { init } from "../../../client/init.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { CLIENT_SECRET, clientKeyOf, clientWorld, jobOptions } from "../../support/client_world.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { federatedWorld, keyWorld, makeKey } from "../../support/key_world.ts";
const PAIRS: [SessionOptions, string, string][] = [
  [{ clientSecret: "abcdefgh", clientKeyFile: "/k" }, "clientSecret", "clientKeyFile"],
  [{ clientKeyFile: "/k", clientAssertionFile: "/a" }, "clientKeyFile", "clientAssertionFile"],
  [{ clientSecretFile: "/s", clientAssertion: "github" }, "clientSecretFile", "clientAssertion"],
];
for (const [options, ...names] of PAIRS) {
  test(`client authentication: ${names.join(" and ")} exclude each other`, async (world) => {
    const run = () => createSession({ ...world.options, ...options });
    await rejectsWith("invalid_options", run, ...names);
    await rejectsWith("invalid_options", () => clearOidcCredentials(options as object), ...names);
    assertEquals(world.provider.requests, []);
  });
}

Deno.test("client authentication: two variables exclude each other, and an option wins over both", async () => {
  await using world = await clientWorld();
  await withTempHome(async () => {
    Deno.env.set("VM_OIDC_ISSUER", world.provider.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
    Deno.env.set("VM_OIDC_CLIENT_KEY_FILE", "/absent/key");
    Deno.env.set("VM_OIDC_CLIENT_ASSERTION_FILE", "/absent/assertion");
    const run = () => createSession(jobOptions(world));
    const names = ["VM_OIDC_CLIENT_KEY_FILE", "VM_OIDC_CLIENT_ASSERTION_FILE"];
    await rejectsWith("invalid_options", run, ...names);
    await createSession(jobOptions(world, { clientSecret: CLIENT_SECRET }));
  });
});

Deno.test("client authentication: the variables do, for their own client alone", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.registered]);
  const path = await it.file(key.pem);
  await withTempHome(async () => {
    Deno.env.set("VM_OIDC_CLIENT_KEY_FILE", path);
    Deno.env.set("VM_OIDC_FLOW", "client_credentials");
    const { flow: _, ...options } = jobOptions(it.world);
    await rejectsWith("client_auth_unusable", () => createSession(options), "flow");
    Deno.env.set("VM_OIDC_ISSUER", it.world.provider.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", it.world.provider.clientId);
    const session = await init({ ...options, model: "m" });
    assert(await it.world.provider.isActive(await session.accessToken()));
    const { keys, revocation } = await clearOidcCredentials({ revoke: true });
    assertEquals([keys, revocation], [[clientKeyOf(it.world)], "revoked"]);
  });
});

Deno.test("client authentication: clearOidcCredentials revokes with the option's key or assertion", async () => {
  await using it = await federatedWorld();
  const clientAssertionFile = await it.file(await it.assertion());
  const { issuer, clientId } = it.world.provider;
  await createSession(jobOptions(it.world, { clientAssertionFile }));
  await it.file(await it.assertion()); // the provider takes each one once
  const named = { issuer, clientId, credentialsBackend: it.world.backend, revoke: true };
  const asPerson = await clearOidcCredentials({ ...named, clientAssertionFile });
  assertEquals(asPerson.keys, []);
  const flow = "client_credentials" as const;
  const { keys, revocation } = await clearOidcCredentials({ ...named, flow, clientAssertionFile });
  assertEquals([keys, revocation], [[clientKeyOf(it.world)], "revoked"]);
});
