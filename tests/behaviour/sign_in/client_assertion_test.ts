import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { AssertionIssuer, jobOptions } from "../../support/client_world.ts";
import { isPosix } from "../../support/sandbox.ts";
import { HOUR, scriptedProviderWorld } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import { hang, type HttpHandler, json } from "../../support/http_server.ts";
import { federatedWorld, startGitHubRunner } from "../../support/key_world.ts";

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

Deno.test("client assertion: as text, in the option and in the variable, and of a function", async () => {
  await using it = await federatedWorld();
  const { world } = it;
  const text = await it.assertion();
  const credentialsBackend = new MemoryCredentialsBackend();
  const byText = { clientAssertion: `${text}\n`, credentialsBackend };
  await using session = await createSession(jobOptions(world, byText));
  assert(await world.provider.isActive(await session.accessToken()));
  setVariables({
    VM_OIDC_ISSUER: world.provider.issuer,
    VM_OIDC_CLIENT_ID: world.provider.clientId,
    VM_OIDC_CLIENT_ASSERTION: await it.assertion(),
  });
  await createSession(jobOptions(world, { credentialsBackend: new MemoryCredentialsBackend() }));
  const clientAssertion = () => it.assertion();
  await using renewed = await createSession(jobOptions(world, { clientAssertion }));
  world.clock.advance(HOUR);
  assert(await world.provider.isActive(await renewed.accessToken())); // each is taken once
});

Deno.test("client assertion: a function that fails, hangs, or gives something else", async () => {
  await using it = await federatedWorld();
  const lost = new Error(`the vault is sealed: ${await it.assertion()}`);
  const rows: [() => unknown, word: string][] = [
    [() => Promise.reject(lost), "the function failed"],
    [() => new Promise(() => {}), "the function failed"],
    [() => undefined, "not one JWT"],
  ];
  for (const [give, word] of rows) {
    const clientAssertion = give as () => string;
    const options = jobOptions(it.world, { clientAssertion, timeoutMs: 50 });
    const error = await rejectsWith("client_auth_unusable", () => createSession(options), word);
    assertNoSecret(error);
    if (give !== rows[0]![0]) continue;
    assertEquals((error.cause as Error).message, "the vault is sealed: [removed]");
  }
  const signal = AbortSignal.timeout(20);
  const options = jobOptions(it.world, { clientAssertion: () => new Promise(() => {}), signal });
  await assertRejects(() => createSession(options), DOMException);
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
});

Deno.test("client assertion: GitHub is asked at each renewal, also without the variables", async () => {
  await using it = await federatedWorld();
  const { issuer, clientId } = it.world.provider;
  await using runner = await startGitHubRunner(() => it.assertion());
  setVariables(runner.variables);
  await using session = await createSession(jobOptions(it.world, { clientAssertion: "github" }));
  for (const name of Object.keys(runner.variables)) Deno.env.delete(name); // as dropPermissions does
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
  setVariables({
    ...runner.variables,
    VM_OIDC_ISSUER: issuer,
    VM_OIDC_CLIENT_ID: clientId,
    VM_OIDC_CLIENT_ASSERTION: "github:api://AzureADTokenExchange",
  });
  await createSession(jobOptions(it.world, { credentialsBackend: new MemoryCredentialsBackend() }));
  assertEquals(runner.audiences, [issuer, issuer, "api://AzureADTokenExchange"]);
});

Deno.test("client assertion: Entra's own audience is asked for", async () => {
  await using runner = await startGitHubRunner(() => Promise.resolve("a.b.c"));
  await using world = await scriptedProviderWorld();
  setVariables(runner.variables);
  const issuer = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0";
  const forms: URLSearchParams[] = [];
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    const { pathname } = new URL(`${url}`);
    if (pathname.startsWith("/idtoken")) return await globalThis.fetch(url, init);
    if (init?.method !== "POST") return json({ issuer, token_endpoint: `${issuer}/token` });
    forms.push(new URLSearchParams(await new Response(init.body).text()));
    return json({ access_token: "entra-token-Zq7Kf9", token_type: "Bearer", expires_in: 3600 });
  };
  const more = { issuer, fetch, clientAssertion: "github", bearer: "access_token" } as const;
  await createSession(jobOptions(world, more));
  assertEquals(runner.audiences, ["api://AzureADTokenExchange"]);
  assertEquals(forms.map((form) => form.get("client_assertion")), ["a.b.c"]);
});

Deno.test("client assertion: an answer of GitHub's that is none is not sent, and nothing is shown", async () => {
  await using it = await federatedWorld();
  await using runner = await startGitHubRunner(() => it.assertion());
  await using other = await startGitHubRunner(() => it.assertion());
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token } =
    runner.variables;
  const elsewhere = other.variables.ACTIONS_ID_TOKEN_REQUEST_URL;
  const run = () =>
    createSession(jobOptions(it.world, { clientAssertion: "github", timeoutMs: 500 }));
  const answers: [AnyErrorCode, HttpHandler, ...words: string[]][] = [
    ["client_auth_unusable", () => json({ message: token }, 403), "403", "id-token: write"],
    ["client_auth_unusable", () => json({ value: 5 }), "no token", "id-token: write"],
    ["client_auth_unusable", () => new Response("<p>200</p>"), "no token"],
    ["client_auth_unusable", () => json({ value: `a.b.c\r\n${token}` }), "not one JWT"],
    ["provider_unavailable", () => json({ message: token }, 503), "503"],
    ["provider_unavailable", () => Response.redirect(elsewhere, 307), "redirects"],
    ["provider_unavailable", () => json({ value: "a".repeat(5 * 1024 * 1024) }), "larger"],
    ["provider_unavailable", hang, "500 ms"],
  ];
  setVariables(runner.variables);
  for (const [code, answer, ...words] of answers) {
    runner.script.push(answer);
    assertNoSecret(await rejectsWith(code, run, ...words));
  }
  const variables: [AnyErrorCode, url: string, token: string, ...words: string[]][] = [
    ["client_auth_unusable", "", token, "ACTIONS_ID_TOKEN_REQUEST_URL", "id-token: write"],
    ["client_auth_unusable", url, "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "id-token: write"],
    ["client_auth_unusable", url, `${token}\r\nx: y`, "ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
    ["insecure_url", "http://runner.example.com/", token, "ACTIONS_ID_TOKEN_REQUEST_URL"],
    ["invalid_options", "file:///idtoken", token, "ACTIONS_ID_TOKEN_REQUEST_URL"],
    ["invalid_options", url.replace("//", `//me:${token}@`), token, "a user name or a password"],
  ];
  for (const [code, address, value, ...words] of variables) {
    setVariables({
      ACTIONS_ID_TOKEN_REQUEST_URL: address,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: value,
    });
    assertNoSecret(await rejectsWith(code, run, ...words));
  }
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
  assertEquals(other.audiences, []);
});

function setVariables(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
}

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
