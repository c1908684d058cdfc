import { createSession } from "../../../client/create_session.ts";
import { readClaims } from "../../../client/entry.ts";
import { AssertionIssuer, jobOptions } from "../../support/client_world.ts";
import { isPosix, makePipe } from "../../support/sandbox.ts";
import { HOUR, renew, scriptedProviderWorld } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import { federatedWorld, keyWorld, makeKey, startGitHubRunner } from "../../support/key_world.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { hang, type HttpHandler, json } from "../../support/http_server.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";

for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const) {
  Deno.test(`client key: an ${alg} key signs the client in, as a JWK and as PEM`, async () => {
    const key = await makeKey(alg);
    await using it = await keyWorld([key.registered]);
    const { alg: _, ...bare } = key.jwk;
    const texts = [JSON.stringify(key.jwk), JSON.stringify(bare), `some words\n${key.pem}`];
    // Only `alg` tells PS256 from RS256.
    for (const [index, text] of texts.slice(0, alg === "PS256" ? 1 : 3).entries()) {
      const clientKeyFile = await it.file(text);
      const options = jobOptions(it.world, { clientKeyFile, scope: `openid ${index}` });
      await using session = await createSession({ ...options, profile: `p${index}` });
      assert(await it.world.provider.isActive(await session.accessToken()));
    }
  });
}

/** The header and the claims of the assertion that a scripted provider was sent. */
async function assertionSent(text: (key: Awaited<ReturnType<typeof makeKey>>) => string, {
  alg = "RS256" as "RS256" | "PS256" | "EdDSA",
  issuer = undefined as string | undefined,
  discovery = {},
} = {}) {
  const key = await makeKey(alg);
  await using it = await keyWorld([key.registered]);
  await using world = await scriptedProviderWorld({ ...(issuer && { issuer }), discovery });
  let assertion = "";
  world.provider.script.token.push((_, form) => {
    assertion = form.get("client_assertion")!;
  });
  const { apiHost, ...options } = jobOptions(world, { clientKeyFile: await it.file(text(key)) });
  await createSession(
    issuer === undefined
      ? { ...options, apiHost: apiHost! }
      : { ...options, fetch: world.provider.fetch },
  );
  const header = JSON.parse(atob(assertion.split(".")[0]!));
  return { header, claims: readClaims(assertion)!, provider: world.provider };
}

Deno.test("client key: Ed25519 as PEM signs by the former name where the provider knows both", async () => {
  for (const offered of [["EdDSA", "Ed25519"], ["Ed25519"]]) {
    const discovery = { token_endpoint_auth_signing_alg_values_supported: offered };
    const { header } = await assertionSent(({ pem }) => pem, { alg: "EdDSA", discovery });
    assertEquals(header, { alg: offered[0] });
  }
});

Deno.test("client key: RSA as PEM signs PS256 where the provider takes nothing else", async () => {
  const discovery = { token_endpoint_auth_signing_alg_values_supported: ["ES256", "PS256"] };
  const { header } = await assertionSent(({ pem }) => pem, { alg: "PS256", discovery });
  assertEquals(header, { alg: "PS256" });
});

Deno.test("client key: kid and x5t#S256 of a JWK go into the header, the issuer is the audience", async () => {
  const text = ({ jwk }: { jwk: object }) => JSON.stringify({ ...jwk, "x5t#S256": "thumb" });
  const { header, claims, provider } = await assertionSent(text);
  assertEquals(header, { alg: "RS256", kid: "key-RS256", "x5t#S256": "thumb" });
  const { clientId, issuer } = provider;
  assertEquals([claims.iss, claims.sub, claims.aud], [clientId, clientId, issuer]);
});

Deno.test("client key: Microsoft Entra gets its token endpoint as the audience", async () => {
  const issuer = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
  const { claims } = await assertionSent(({ jwk }) => JSON.stringify(jwk), { issuer });
  assert(String(claims.aud).endsWith("/token"));
});

Deno.test("client key: a provider that takes its token endpoint alone as the audience gets that", async () => {
  const key = await makeKey("ES256");
  const seen: string[] = [];
  await using it = await keyWorld([key.registered], {}, {
    assertJwtClientAuthClaimsAndHeader(_, { aud }) {
      seen.push(String(aud));
      if (String(aud).endsWith("/token")) return;
      const error = { error: "invalid_client", expose: true, status: 401, statusCode: 401 };
      throw Object.assign(new Error("invalid_client"), error);
    },
  });
  const clientKeyFile = await it.file(JSON.stringify(key.jwk));
  await using session = await createSession(jobOptions(it.world, { clientKeyFile }));
  const first = await session.accessToken();
  const { issuer } = it.world.provider;
  assertEquals(seen, [issuer, `${issuer}/token`]);
  const second = await renew(session);
  assert(first !== second && await it.world.provider.isActive(second));
  assertEquals(seen, [issuer, `${issuer}/token`, `${issuer}/token`], "it learnt nothing");
});

Deno.test("client key: an assertion is for no token endpoint on another host than the issuer's", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.registered]);
  await using world = await scriptedProviderWorld();
  const { port } = new URL(world.provider.issuer);
  world.provider.discovery = { token_endpoint: `http://localhost:${port}/token` };
  const seen: unknown[] = [];
  const refuse = (_: Request, form: URLSearchParams) => {
    seen.push(readClaims(form.get("client_assertion")!)!.aud);
    return Response.json({ error: "invalid_client" }, { status: 401 });
  };
  world.provider.script.token.push(refuse, refuse);
  const clientKeyFile = await it.file(JSON.stringify(key.jwk));
  await rejectsWith("provider_refused", () => createSession(jobOptions(world, { clientKeyFile })));
  assertEquals(seen, [world.provider.issuer]);
});

Deno.test("client key: it also proves the client of a person, in every request", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.registered]);
  const { world } = it;
  const clientKeyFile = await it.file(key.pem);
  const session = await world.signIn({ clientKeyFile });
  world.clock.advance(HOUR);
  const token = await session.accessToken();
  assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  assertEquals(await world.provider.isActive(token), false);
  const posts = world.provider.requests.filter(({ method }) => method === "POST");
  assertEquals(posts.length, 5); // device, token, refresh, and both tokens revoked
  assert(posts.every(({ form }) => form.client_assertion !== undefined));
});

Deno.test("client key: one renewed in its file is used next, and one not known is refused", async () => {
  const [one, other, stranger] = await Promise.all([1, 2, 3].map(() => makeKey("ES256")));
  const second = { ...other!.registered, kid: "second" };
  await using it = await keyWorld([one!.registered, second as JsonWebKey]);
  const clientKeyFile = await it.file(one!.pem);
  await using session = await createSession(jobOptions(it.world, { clientKeyFile }));
  await it.file(other!.pem);
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
  await it.file(stranger!.pem);
  const words = ["the provider answered", clientKeyFile, "VM_OIDC_CLIENT_KEY_FILE", "registered"];
  await rejectsWith("provider_refused", () => renew(session), ...words);
});

Deno.test("client key: what cannot be used is told apart, and nothing is sent", async () => {
  const key = await makeKey("RS256");
  const { d: _, p: _1, q: _2, dp: _3, dq: _4, qi: _5, ...open } = key.jwk;
  await using it = await keyWorld([key.registered]);
  const renamed = (kind: string) => key.pem.replaceAll("PRIVATE KEY", kind);
  const short = { ...await crypto.subtle.exportKey("jwk", (await shortKey()).privateKey) };
  const noKey = [
    JSON.stringify(open),
    renamed("PUBLIC KEY"),
    JSON.stringify({ keys: [key.jwk] }),
    JSON.stringify({ kty: "oct", k: "c2VjcmV0" }),
    ...["HS256", "none", "ES256", "constructor"].map((alg) => JSON.stringify({ ...key.jwk, alg })),
    JSON.stringify(key.jwk).slice(0, -5),
    key.pem.replace(/[A-Za-z]{20}/, "A"),
    "<html>Sign in</html>",
  ];
  const rows: [text: string, word: string][] = [
    ["", "empty"],
    [" \n", "empty"],
    ["x".repeat(70_000), "70000 bytes"],
    [renamed("RSA PRIVATE KEY"), "openssl pkcs8 -topk8"],
    [renamed("ENCRYPTED PRIVATE KEY"), "openssl pkcs8 -topk8"],
    [JSON.stringify(short), "2048 bits or more"],
    ...noKey.map((text): [string, string] => [text, "no private key"]),
  ];
  const refused = async (clientKeyFile: string, ...words: string[]) => {
    const run = () => createSession(jobOptions(it.world, { clientKeyFile }));
    await rejectsWith("client_auth_unusable", run, clientKeyFile, "clientKeyFile", ...words);
  };
  for (const [text, ...words] of rows) await refused(await it.file(text), ...words);
  await refused(`${it.dir}/absent`, "not there");
  await refused(it.dir, "a folder");
  if (isPosix) {
    await makePipe(`${it.dir}/pipe`);
    await refused(`${it.dir}/pipe`, "a named pipe");
    const path = await it.file(key.pem);
    await Deno.chmod(path, 0o666);
    await refused(path, "others may ", "chmod");
  }
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
});

async function shortKey(): Promise<CryptoKeyPair> {
  const publicExponent = new Uint8Array([1, 0, 1]);
  const params = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 1024,
    publicExponent,
  };
  return await crypto.subtle.generateKey(params, true, ["sign", "verify"]) as CryptoKeyPair;
}

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
