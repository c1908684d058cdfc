import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { credentialKey } from "../../../../client/entry.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import { CLIENT_SECRET, withClient } from "../../../support/client_world.ts";
import { cliTest, type CliWorld, ENDED } from "../cli_world.ts";

const FLOW = ["--flow", "client_credentials"];
const JOB = { VM_OIDC_FLOW: "client_credentials", VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };

interface JobWorld extends CliWorld {
  clientKey: string;
}

function jobTest(name: string, run: (world: JobWorld) => Promise<void>): void {
  cliTest(`client flow: ${name}`, async (world) => {
    const { issuer, clientId } = world.provider;
    const clientKey = credentialKey(issuer, clientId, undefined, { flow: "client_credentials" });
    await run({ ...world, clientKey });
  }, { options: withClient() });
}

jobTest("login gets a token for the client, and asks nobody", async (world) => {
  const { backend, clientKey } = world;
  const env = { VM_OIDC_CLIENT_SECRET: CLIENT_SECRET };
  const run = () => world.run(["login", ...FLOW], { env });
  const { code, stdout, stderr } = await run();
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^Signed in +as the client validmind-test itself$/m);
  const first = backend.get(clientKey)!.access_token;
  const again = await run();
  assertMatch(again.stdout, /^Already signed in/);
  assertEquals(backend.get(clientKey)!.access_token, first);
});

jobTest("token, status, list and logout are of the client, and of no person", async (world) => {
  const { backend, clientKey } = world;
  const run = (...args: string[]) => world.run(args, { env: JOB });
  assertEquals((await run("status")).code, 4);
  const { code, stdout, stderr } = await run("token");
  assertEquals([code, stderr], [0, ""]);
  assertEquals(await world.provider.isActive(stdout.trim()), true);
  assertEquals((await run("token")).stdout, stdout);
  const status = async () => {
    const { state, flow, subject, refreshable, scope } = JSON.parse(
      (await run("status", "--json")).stdout,
    );
    return [state, flow, subject, refreshable, scope];
  };
  const rest = ["client_credentials", "validmind-test", true, undefined];
  assertEquals(await status(), ["valid", ...rest]);
  const shown = (await run("status")).stdout;
  assertEquals(shown.includes("another program"), false, "no scope was asked for");
  await backend.put(clientKey, { ...backend.get(clientKey)!, expires_at: ENDED });
  assertEquals(await status(), ["refreshable", ...rest]); // at the next use
  assertStringIncludes((await world.run(["list"])).stdout, "as the client validmind-test itself");
  assertStringIncludes((await world.run(["logout"])).stdout, "Nobody was signed in");
  const out = await run("logout", "--revoke", ...FLOW);
  assertEquals(out.stdout, `Removed ${clientKey}\nThe provider has ended the tokens.\n`);
  assertEquals(backend.get(clientKey), undefined);
});

jobTest("a refusal is exit code 1, in variables, and never asks for a login", async (world) => {
  const env = { ...JOB, VM_OIDC_CLIENT_SECRET: "a-wrong-secret" };
  const { code, stderr } = await world.run(["token"], { env });
  assertEquals(code, 1);
  for (const words of ["the provider answered", "VM_OIDC_CLIENT_SECRET"]) {
    assertStringIncludes(stderr, words);
  }
  assertEquals(/clientSecret|login_required|sign in with/i.test(stderr), false, stderr);
  assertNoSecret(stderr, ["a-wrong-secret"]);
  const none = await world.run(["token"], { env: { VM_OIDC_FLOW: "client_credentials" } });
  assertEquals(none.code, 1);
  assertStringIncludes(none.stderr, "VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE");
  assertStringIncludes(none.stderr, "--flow client_credentials");
});

cliTest("token exchange: status and list show it as a sign-in that asks nobody", async (world) => {
  const { issuer, clientId } = world.provider;
  const key = credentialKey(issuer, clientId, undefined, { flow: "token_exchange" });
  const row = { issuer, client_id: clientId, access_token: "token", expires_at: ENDED, scope: "" };
  await world.backend.put(key, row);
  const flow = ["--flow", "token_exchange"];
  const status = JSON.parse((await world.run(["status", "--json", ...flow])).stdout);
  assertEquals([status.state, status.flow, status.subject], [
    "refreshable",
    "token_exchange",
    undefined,
  ]);
  const { stdout } = await world.run(["list"]);
  assertStringIncludes(stdout, "a person whom the provider did not name");
  assertEquals(stdout.includes("run login"), false);
  assertEquals((await world.run(["logout", ...flow])).stdout, `Removed ${key}\n`);
});
