import { assertEquals, assertStringIncludes } from "@std/assert";
import { credentialKey } from "../../../../client/credential_key.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { CLIENT_SECRET, withClient } from "../../../support/client_world.ts";
import { cliTest, type CliWorld, ENDED } from "../cli_world.ts";

const env = { VM_OIDC_FLOW: "client_credentials", VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };

function keyOf({ provider: { issuer, clientId } }: CliWorld, flow = env.VM_OIDC_FLOW): string {
  return credentialKey(issuer, clientId, undefined, { flow });
}

function jobTest(name: string, run: (world: CliWorld) => Promise<void>): void {
  cliTest(`client flow: ${name}`, run, { options: withClient() });
}

jobTest("login gets a token for the client, and asks nobody", async (world) => {
  const line = "VM_OIDC_FLOW= login --flow client_credentials";
  const client = /^Signed in +as the client validmind-test itself$/m;
  const { stderr } = await world.says(line, 0, client, { env });
  assertEquals(stderr, "");
  const first = world.backend.get(keyOf(world));
  await world.says(line, 0, /^Already signed in/, { env });
  assertEquals(world.backend.get(keyOf(world)), first);
});

jobTest("token, status, list and logout are of the client, and of no person", async (world) => {
  const { backend, provider } = world;
  const key = keyOf(world);
  await world.says("status", 4, { env });
  const { stdout } = await world.says("token", 0, { env });
  assertEquals(await provider.isActive(stdout.trim()), true);
  assertEquals((await world.says("token", 0, { env })).stdout, stdout);
  const status = async (expected: string) => {
    const { json } = await world.says("status --json", 0, { env });
    const { state, flow, subject, refreshable, scope } = json;
    const rest = ["client_credentials", "validmind-test", true, undefined];
    assertEquals([state, flow, subject, refreshable, scope], [expected, ...rest]);
  };
  await status("valid");
  await world.says("status", 0, "!another program", { env }); // no scope was asked for
  await backend.put(key, { ...backend.get(key)!, expires_at: ENDED });
  await status("refreshable"); // at the next use
  await world.says("list", 0, "as the client validmind-test itself");
  await world.says("logout", 0, "Nobody was signed in");
  const revoked = `Removed ${key}\nThe provider has ended the tokens.\n`;
  assertEquals((await world.says("logout --revoke", 0, { env })).stdout, revoked);
  assertEquals(backend.get(key), undefined);
});

jobTest("a refusal is exit code 1, in variables, and never asks for a login", async (world) => {
  const wrong = { env: { ...env, VM_OIDC_CLIENT_SECRET: "a-wrong-secret" } };
  const words = ["the provider answered", "clientSecret (VM_OIDC_CLIENT_SECRET)"];
  const { stderr } = await world.says("token", 1, ...words, "!login_required", wrong);
  assertNoSecret(stderr, ["a-wrong-secret"]);
  const none = [
    "(VM_OIDC_CLIENT_SECRET_FILE), clientKeyFile (VM_OIDC_CLIENT_KEY_FILE)",
    'flow: "client_credentials"',
  ];
  await world.says("VM_OIDC_FLOW=client_credentials token", 1, ...none);
  const said = "!the next use gets one";
  await world.says("VM_OIDC_FLOW=client_credentials doctor", 1, /^fail +flow/m, said);
});

cliTest("token exchange: status and list show it as a sign-in that asks nobody", async (world) => {
  const { issuer, clientId: client_id } = world.provider;
  const key = keyOf(world, "token_exchange");
  const row = { issuer, client_id, access_token: "token", expires_at: ENDED, scope: "" };
  await world.backend.put(key, row);
  const { json } = await world.says("status --json --flow token_exchange", 0);
  assertEquals([json.state, json.flow, json.subject], ["refreshable", "token_exchange", undefined]);
  await world.says("list", 0, "a person without a name", "!run login");
  const { stdout } = await world.says("logout --flow token_exchange", 0);
  assertStringIncludes(stdout, `Removed ${key}\n`);
});

cliTest("list names a sign-in by its whole key", async (world) => {
  const { issuer } = world.provider;
  const client_id = "c".repeat(600);
  const row = { issuer, client_id, access_token: "token", expires_at: ENDED };
  await world.backend.put(credentialKey(issuer, client_id), row);
  const { json } = await world.says("list --json", 0);
  assertEquals(json.sign_ins[0].client_id, client_id);
});
