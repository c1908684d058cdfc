import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { AssertionIssuer, jobOptions } from "../../support/client_world.ts";
import { isPosix } from "../../support/sandbox.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { federatedWorld } from "../../support/key_world.ts";
const HOUR = 3600_000;

Deno.test({
  name: "client assertion: a renewed one is picked up, through the links of a cluster",
  ignore: !isPosix, // on Windows an ordinary person may make no links
  async fn() {
    await using it = await federatedWorld();
    await Deno.mkdir(`${it.dir}/..one`);
    await Deno.mkdir(`${it.dir}/..two`);
    await it.file(await it.assertion(), "..one/token");
    await it.file(await it.assertion(), "..two/token");
    await Deno.symlink("..one", `${it.dir}/..data`);
    await Deno.symlink("..data/token", `${it.dir}/token`);
    const clientAssertionFile = `${it.dir}/token`;
    await using session = await createSession(jobOptions(it.world, { clientAssertionFile }));
    await session.accessToken();
    await Deno.symlink("..two", `${it.dir}/..next`);
    await Deno.rename(`${it.dir}/..next`, `${it.dir}/..data`);
    await Deno.remove(`${it.dir}/..one`, { recursive: true });
    it.world.clock.advance(HOUR);
    assert(await it.world.provider.isActive(await session.accessToken()));
  },
});

Deno.test("client assertion: a refused one is named with what to check, and a missing one", async () => {
  await using it = await federatedWorld();
  const { clientId } = it.world.provider;
  const stranger = await AssertionIssuer.make();
  const now = Math.floor(Date.now() / 1000);
  const refused = [
    await it.assertion({ iat: now - 900, exp: now - 300 }),
    await it.assertion({ sub: "another-client", iss: "another-client" }),
    await it.assertion({ aud: "https://other.example.com" }),
    await stranger.assertion(it.world.provider.issuer, clientId),
    await it.assertion({}, { alg: "HS256", secret: "public" }),
  ];
  it.world.clock.advance(Date.now() - it.world.clock.now());
  for (const assertion of refused) {
    const clientAssertionFile = await it.file(assertion);
    const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
    const words = ["the provider answered", clientAssertionFile, "VM_OIDC_CLIENT_ASSERTION_FILE"];
    await rejectsWith("provider_refused", run, ...words, "(exp)", "iss, sub and aud");
  }
  const clientAssertionFile = `${it.dir}/absent`;
  const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
  await rejectsWith("client_auth_unusable", run, "not there", clientAssertionFile);
});

Deno.test("client assertion: what is no single JWT is not sent", async () => {
  await using it = await federatedWorld();
  const assertion = await it.assertion();
  const rows: [text: string, word: string][] = [
    ["", "empty"],
    ["<!DOCTYPE html><p>502</p>", "not one JWT"],
    [`${assertion}\n${assertion}`, "not one JWT"],
    [`{"token":"${assertion}"}`, "not one JWT"],
    // Half written: without the signature, and without a part of the claims.
    [assertion.slice(0, assertion.lastIndexOf(".")), "not one JWT"],
    [assertion.slice(0, assertion.lastIndexOf(".") + 1), "not one JWT"],
    [assertion.slice(0, assertion.indexOf(".") + 9), "not one JWT"],
    [`${assertion}&scope=admin`, "not one JWT"],
    ["a".repeat(70_000), "70000 bytes"],
  ];
  for (const [text, word] of rows) {
    const clientAssertionFile = await it.file(text);
    const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
    await rejectsWith("client_auth_unusable", run, clientAssertionFile, word);
  }
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
});

Deno.test("client assertion: an error does not show it, however the provider echoes it", async () => {
  await using it = await federatedWorld();
  await using world = await scriptedProviderWorld();
  const assertion = await it.assertion();
  const clientAssertionFile = await it.file(assertion);
  world.provider.script.token.push((_, form) =>
    Response.json({
      error: "invalid_client",
      error_description: `no ${form.get("client_assertion_type")}: ${form.get("client_assertion")}`,
    }, { status: 401 })
  );
  const run = () => createSession(jobOptions(world, { clientAssertionFile }));
  const error = await rejectsWith("provider_refused", run, "jwt-bearer: [removed]");
  assertNoSecret(error, [assertion.split(".")[2]!]);
});
