import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { credentialKey } from "../../../../client/entry.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import {
  CLIENT_SECRET,
  type ClientRegistration,
  withClient,
} from "../../../support/client_world.ts";
import { type CliWorld, cliWorld } from "../cli_world.ts";

const JOB = { VM_OIDC_FLOW: "client_credentials", VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };

async function jobWorld(registration: ClientRegistration = {}): Promise<CliWorld> {
  return await cliWorld(withClient(registration));
}

function keyOf({ provider }: CliWorld): string {
  return credentialKey(provider.issuer, provider.clientId, undefined, {
    flow: "client_credentials",
  });
}

Deno.test("client flow: login gets a token for the client, and asks nobody", async () => {
  await using world = await jobWorld();
  const env = { VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };
  const args = ["login", "--flow", "client_credentials"];
  const { code, stdout, stderr } = await world.run(args, { env });
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^Signed in +as the client validmind-test itself$/m);
  const first = world.backend.get(keyOf(world))!.access_token;
  const again = await world.run(args, { env });
  assertMatch(again.stdout, /^Already signed in as the client validmind-test itself, until/m);
  assertEquals(world.backend.get(keyOf(world))!.access_token, first);
});

Deno.test("client flow: token prints the client's token without a login before", async () => {
  await using world = await jobWorld();
  const { code, stdout, stderr } = await world.run(["token"], { env: JOB });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(await world.provider.isActive(stdout.trim()), true);
  assertEquals((await world.run(["token"], { env: JOB })).stdout, stdout);
});

Deno.test("client flow: status, list and logout name the client, and no person", async () => {
  await using world = await jobWorld();
  assertEquals((await world.run(["status"], { env: JOB })).code, 4);
  await world.run(["token"], { env: JOB });
  const { code, stdout } = await world.run(["status", "--json"], { env: JOB });
  const { flow, subject, state, refreshable, scope } = JSON.parse(stdout);
  assertEquals({ code, flow, subject, state, refreshable, scope }, {
    code: 0,
    flow: "client_credentials",
    subject: "validmind-test",
    state: "valid",
    refreshable: true,
    scope: undefined,
  });
  const shown = await world.run(["status"], { env: JOB });
  assertEquals(shown.stdout.includes("another program"), false, "no scope was asked for");
  assertStringIncludes((await world.run(["list"])).stdout, "as the client validmind-test itself");
  assertStringIncludes((await world.run(["logout"])).stdout, "Nobody was signed in");
  const out = await world.run(["logout", "--revoke", "--flow", "client_credentials"], { env: JOB });
  assertEquals(out.stdout, `Removed ${keyOf(world)}\nThe provider has ended the tokens.\n`);
  assertEquals(world.backend.get(keyOf(world)), undefined);
});

Deno.test("client flow: an ended token is renewed at the next use, and status says so", async () => {
  await using world = await jobWorld();
  await world.run(["token"], { env: JOB });
  const entry = world.backend.get(keyOf(world))!;
  await world.backend.put(keyOf(world), { ...entry, expires_at: "2020-01-01T00:00:00Z" });
  const { code, stdout } = await world.run(["status", "--json"], { env: JOB });
  assertEquals([code, JSON.parse(stdout).state], [0, "refreshable"]);
});

Deno.test("client flow: a refusal is exit code 1, in variables, and never asks for a login", async () => {
  await using world = await jobWorld();
  const env = { ...JOB, VM_OIDC_CLIENT_SECRET: "a-wrong-secret" };
  const { code, stderr } = await world.run(["token"], { env });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "the provider answered");
  assertStringIncludes(stderr, "VM_OIDC_CLIENT_SECRET");
  assertEquals(/clientSecret|login_required|sign in with/i.test(stderr), false, stderr);
  assertNoSecret(stderr, ["a-wrong-secret"]);
  const none = await world.run(["token"], { env: { VM_OIDC_FLOW: "client_credentials" } });
  assertEquals(none.code, 1);
  assertStringIncludes(none.stderr, "VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE");
  assertStringIncludes(none.stderr, "--flow client_credentials");
});
