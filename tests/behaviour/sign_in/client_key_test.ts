import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { readClaims } from "../../../client/entry/bearer.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { AssertionIssuer } from "../../support/client_world.ts";
import { hang, type HttpHandler, json } from "../../support/http_server.ts";
import { makeKey, type SigningKey } from "../../support/jwt.ts";
import { federatedWorld, keyWorld, startGitHubRunner } from "../../support/key_world.ts";
import { setVariables } from "../../support/own_env.ts";
import { HOUR, renew, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, makePipe } from "../../support/sandbox.ts";
import type { ScriptedProviderOptions } from "../../support/scripted_provider.ts";

/** A world whose client has one key. */
async function worldOf(alg: Parameters<typeof makeKey>[0] = "ES256") {
  const key = await makeKey(alg);
  return { ...await keyWorld([key.publicJwk]), key };
}

for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const) {
  Deno.test(`client key: an ${alg} key signs the client in, as a JWK and as PEM`, async () => {
    await using it = await worldOf(alg);
    const { alg: _, ...bare } = it.key.privateJwk;
    const texts = [
      JSON.stringify(it.key.privateJwk),
      JSON.stringify(bare),
      `some words\n${it.key.pem}`,
    ];
    // Only `alg` tells PS256 from RS256.
    for (const [index, text] of texts.slice(0, alg === "PS256" ? 1 : 3).entries()) {
      await using session = await it.job({
        clientKeyFile: await it.file(text),
        profile: `${index}`,
      });
      assert(await it.world.provider.isActive(await session.accessToken()));
    }
  });
}

Deno.test("client key: no piece of it is sent or stored", async () => {
  await using it = await worldOf();
  const { d } = it.key.privateJwk;
  const backend = new MemoryCredentialsBackend();
  const clientKeyFile = await it.file(JSON.stringify(it.key.privateJwk));
  await using session = await it.job({ clientKeyFile, credentialsBackend: backend });
  await session.accessToken();
  const { requests } = it.world.provider;
  assert(requests.some(({ form }) => form.client_assertion !== undefined));
  const [key = ""] = await Array.fromAsync(backend.list());
  const stored = backend.get(key);
  assert(stored?.access_token);
  const pieces = Array.from(d!, (_, at) => d!.slice(at, at + 8)).filter(({ length }) =>
    length === 8
  );
  const text = JSON.stringify([requests, stored]);
  assertEquals(pieces.filter((piece) => text.includes(piece)), []);
});

const ENTRA = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0";

/** What an assertion is like: for a key and a provider, its header and the end of its audience. */
const SENT: [
  what: string,
  text: (key: SigningKey) => string,
  provider: ScriptedProviderOptions,
  header: Record<string, string>,
  audience: RegExp,
][] = [
  ...["PS256", "RS384", "RS512", "PS384", "PS512"].map((alg): typeof SENT[number] => [
    `RSA as PEM signs ${alg} where the provider takes nothing else`,
    ({ pem }) => pem,
    { discovery: { token_endpoint_auth_signing_alg_values_supported: ["ES256", alg] } },
    { alg },
    /\d$/,
  ]),
  ...[["EdDSA", "Ed25519"], ["Ed25519"]].map((offered): typeof SENT[number] => [
    `Ed25519 as PEM signs by the name ${offered[0]} where the provider knows ${offered}`,
    ({ pem }) => pem,
    { discovery: { token_endpoint_auth_signing_alg_values_supported: offered } },
    { alg: offered[0]! },
    /\d$/,
  ]),
  [
    "kid and x5t#S256 of a JWK go into the header, the issuer is the audience",
    ({ privateJwk }) => JSON.stringify({ ...privateJwk, kid: "its own", "x5t#S256": "thumb" }),
    {},
    { alg: "RS256", kid: "its own", "x5t#S256": "thumb" },
    /\d$/,
  ],
  [
    "Microsoft Entra gets its token endpoint as the audience",
    ({ pem }) => pem,
    { issuer: ENTRA },
    { alg: "RS256" },
    /\/token$/,
  ],
];

for (const [what, text, options, header, audience] of SENT) {
  Deno.test(`client key: ${what}`, async () => {
    await using it = await worldOf(header.alg!.startsWith("Ed") ? "EdDSA" : "RS256");
    await using world = await scriptedProviderWorld(options);
    const { clientId, issuer, fetch, script } = world.provider;
    let assertion = "";
    script.token.push((_, form) => void (assertion = form.get("client_assertion")!));
    const clientKeyFile = await it.file(text(it.key));
    await world.job({ clientKeyFile, fetch });
    assertEquals(JSON.parse(atob(assertion.split(".")[0]!)), header);
    const { iss, sub, aud } = readClaims(assertion)!;
    assertEquals([iss, sub, String(aud).startsWith(issuer)], [clientId, clientId, true]);
    assertMatch(String(aud), audience);
  });
}

Deno.test("client key: a provider that takes its token endpoint alone as the audience gets that", async () => {
  const key = await makeKey("ES256");
  const seen: string[] = [];
  await using it = await keyWorld([key.publicJwk], {}, {
    assertJwtClientAuthClaimsAndHeader(_, { aud }) {
      seen.push(String(aud));
      if (String(aud).endsWith("/token")) return;
      const error = { error: "invalid_client", expose: true, status: 401, statusCode: 401 };
      throw Object.assign(new Error("invalid_client"), error);
    },
  });
  await using session = await it.job({ clientKeyFile: await it.file(key.pem) });
  const first = await session.accessToken();
  const { issuer } = it.world.provider;
  assertEquals(seen, [issuer, `${issuer}/token`]);
  const second = await renew(session);
  assert(first !== second && await it.world.provider.isActive(second));
  assertEquals(seen, [issuer, `${issuer}/token`, `${issuer}/token`], "it learnt nothing");
});

Deno.test("client key: an assertion is for no token endpoint on another host than the issuer's", async () => {
  await using it = await worldOf();
  await using world = await scriptedProviderWorld();
  world.provider.discovery = { token_endpoint: `http://localhost:${world.provider.port}/token` };
  const seen: unknown[] = [];
  const refuse = (_: Request, form: URLSearchParams) => {
    seen.push(readClaims(form.get("client_assertion")!)!.aud);
    return Response.json({ error: "invalid_client" }, { status: 401 });
  };
  world.provider.script.token.push(refuse, refuse);
  const clientKeyFile = await it.file(it.key.pem);
  await rejectsWith("provider_refused", () => world.job({ clientKeyFile }));
  assertEquals(seen, [world.provider.issuer]);
});

Deno.test("client key: it also proves the client of a person, in every request", async () => {
  await using it = await worldOf();
  const session = await it.world.signIn({ clientKeyFile: await it.file(it.key.pem) });
  it.world.clock.advance(HOUR);
  const token = await session.accessToken();
  assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  assertEquals(await it.world.provider.isActive(token), false);
  const forms = it.posts().map(({ form }) => form.client_assertion !== undefined);
  assertEquals(forms, Array(5).fill(true)); // device, token, refresh, and both tokens revoked
});

Deno.test("client key: one renewed in its file is used next, and one not known is refused", async () => {
  const [one, other, stranger] = await Promise.all([1, 2, 3].map(() => makeKey("ES256")));
  const second = { ...other!.publicJwk, kid: "second" };
  await using it = await keyWorld([one!.publicJwk, second as JsonWebKey]);
  const clientKeyFile = await it.file(one!.pem);
  await using session = await it.job({ clientKeyFile });
  await it.file(other!.pem);
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
  await it.file(stranger!.pem);
  const words = ["the provider answered", clientKeyFile, "VM_OIDC_CLIENT_KEY_FILE", "registered"];
  await rejectsWith("provider_refused", () => renew(session), ...words);
});

Deno.test("client key: what cannot be used is told apart, and nothing is sent", async () => {
  await using it = await worldOf("RS256");
  const { key } = it;
  const { d: _, p: _1, q: _2, dp: _3, dq: _4, qi: _5, ...open } = key.privateJwk;
  const renamed = (kind: string) => key.pem.replaceAll("PRIVATE KEY", kind);
  const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 1024 };
  const params = { ...rsa, publicExponent: new Uint8Array([1, 0, 1]) };
  const pair = await crypto.subtle.generateKey(params, true, ["sign", "verify"]) as CryptoKeyPair;
  const noKey = [
    JSON.stringify(open),
    renamed("PUBLIC KEY"),
    JSON.stringify({ keys: [key.privateJwk] }),
    JSON.stringify({ kty: "oct", k: "c2VjcmV0" }),
    ...["HS256", "none", "ES256", "constructor"].map((alg) =>
      JSON.stringify({ ...key.privateJwk, alg })
    ),
    JSON.stringify(key.privateJwk).slice(0, -5),
    key.pem.replace(/[A-Za-z]{20}/, "A"),
    "<html>Sign in</html>",
  ];
  const rows: [text: string, word: string][] = [
    ["", "empty"],
    [" \n", "empty"],
    ["x".repeat(1_048_577), "1048577 bytes"],
    [renamed("RSA PRIVATE KEY"), "openssl pkcs8 -topk8"],
    [renamed("ENCRYPTED PRIVATE KEY"), "openssl pkcs8 -topk8"],
    [JSON.stringify(await crypto.subtle.exportKey("jwk", pair.privateKey)), "2048 bits or more"],
    ...noKey.map((text): [string, string] => [text, "not a private key"]),
  ];
  const refused = async (clientKeyFile: string, ...words: string[]) => {
    const run = () => it.job({ clientKeyFile });
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
  assertEquals(it.posts(), []);
});

Deno.test("client assertion: a renewed one is picked up, through the links of a cluster", {
  ignore: !isPosix, // on Windows an ordinary person may make no links
}, async () => {
  await using it = await federatedWorld();
  await Deno.mkdir(`${it.dir}/..one`);
  await Deno.mkdir(`${it.dir}/..two`);
  await it.file(await it.assertion(), "..one/token");
  await it.file(await it.assertion(), "..two/token");
  await Deno.symlink("..one", `${it.dir}/..data`);
  await Deno.symlink("..data/token", `${it.dir}/token`);
  const clientAssertionFile = `${it.dir}/token`;
  await using session = await it.job({ clientAssertionFile });
  await session.accessToken();
  await Deno.symlink("..two", `${it.dir}/..next`);
  await Deno.rename(`${it.dir}/..next`, `${it.dir}/..data`);
  await Deno.remove(`${it.dir}/..one`, { recursive: true });
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
});

Deno.test("client assertion: a refused one is named with what to check, and a missing one", async () => {
  await using it = await federatedWorld();
  const { clientId, issuer } = it.world.provider;
  const stranger = await AssertionIssuer.make();
  const now = Math.floor(Date.now() / 1000);
  const refused = [
    await it.assertion({ iat: now - 900, exp: now - 300 }),
    await it.assertion({ sub: "another-client", iss: "another-client" }),
    await it.assertion({ aud: "https://other.example.com" }),
    await stranger.assertion(issuer, clientId),
    await it.assertion({}, { alg: "HS256", secret: "public" }),
  ];
  it.world.clock.advance(Date.now() - it.world.clock.now());
  for (const assertion of refused) {
    const clientAssertionFile = await it.file(assertion);
    const run = () => it.job({ clientAssertionFile });
    const words = ["the provider answered", clientAssertionFile, "VM_OIDC_CLIENT_ASSERTION_FILE"];
    await rejectsWith("provider_refused", run, ...words, "(exp)", "iss, sub and aud");
  }
  const run = () => it.job({ clientAssertionFile: `${it.dir}/absent` });
  await rejectsWith("client_auth_unusable", run, "not there", `${it.dir}/absent`);
});

const elsewhere = () => ({ credentialsBackend: new MemoryCredentialsBackend() });

Deno.test("client assertion: as text, in the option and in the variable, and of a function", async () => {
  await using it = await federatedWorld();
  const { issuer, clientId } = it.world.provider;
  await it.job({ clientAssertion: `${await it.assertion()}\n`, ...elsewhere() });
  const VM_OIDC_CLIENT_ASSERTION = await it.assertion();
  setVariables({ VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId, VM_OIDC_CLIENT_ASSERTION });
  await it.job(elsewhere());
  await using renewed = await it.job({ clientAssertion: () => it.assertion() });
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await renewed.accessToken())); // each is taken once
});

Deno.test("client assertion: a function that fails, hangs, or gives something else", async () => {
  await using it = await federatedWorld();
  const lost = new Error(`the vault is sealed: ${await it.assertion()}`);
  const rows: [() => unknown, word: string, cause?: string][] = [
    [() => Promise.reject(lost), "the function failed", "the vault is sealed: [removed]"],
    [() => new Promise(() => {}), "the function failed"],
    [() => undefined, "not one JWT"],
  ];
  for (const [give, word, cause] of rows) {
    const run = () => it.job({ clientAssertion: give as () => string, timeoutMs: 1000 });
    const error = await rejectsWith("client_auth_unusable", run, word);
    assertNoSecret(error);
    if (cause) assertEquals((error.cause as Error).message, cause);
  }
  const signal = AbortSignal.timeout(20);
  const run = () => it.job({ clientAssertion: () => new Promise(() => {}), signal });
  await assertRejects(run, DOMException);
  assertEquals(it.posts(), []);
});

Deno.test("client assertion: GitHub is asked at each renewal, also without the variables", async () => {
  await using it = await federatedWorld();
  const { issuer, clientId } = it.world.provider;
  await using runner = await startGitHubRunner(() => it.assertion());
  setVariables(runner.variables);
  await using session = await it.job({ clientAssertion: "github" });
  for (const name of Object.keys(runner.variables)) Deno.env.delete(name); // as dropPermissions does
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
  setVariables({
    ...runner.variables,
    VM_OIDC_ISSUER: issuer,
    VM_OIDC_CLIENT_ID: clientId,
    VM_OIDC_CLIENT_ASSERTION: "github:api://AzureADTokenExchange",
  });
  await it.job(elsewhere());
  assertEquals(runner.audiences, [issuer, issuer, "api://AzureADTokenExchange"]);
});

Deno.test("client assertion: Entra's own audience is asked for", async () => {
  await using runner = await startGitHubRunner(() => Promise.resolve("a.b.c"));
  await using world = await scriptedProviderWorld({ issuer: ENTRA });
  setVariables(runner.variables);
  await world.job({
    clientAssertion: "github",
    bearer: "access_token",
    fetch: world.provider.fetch,
  });
  assertEquals(runner.audiences, ["api://AzureADTokenExchange"]);
  const { client_assertion, client_id } = world.provider.requests.at(-1)!.form;
  assertEquals([client_assertion, client_id], ["a.b.c", world.provider.clientId]);
});

Deno.test("client assertion: an answer of GitHub's that is none is not sent, and nothing is shown", async () => {
  await using it = await federatedWorld();
  await using runner = await startGitHubRunner(() => it.assertion());
  await using other = await startGitHubRunner(() => it.assertion());
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token } =
    runner.variables;
  const run = () => it.job({ clientAssertion: "github" });
  const answers: [AnyErrorCode, HttpHandler, ...words: string[]][] = [
    ["client_auth_unusable", () => json({ message: token }, 403), "403", "id-token: write"],
    ["client_auth_unusable", () => json({ value: 5 }), "no token", "id-token: write"],
    ["client_auth_unusable", () => new Response("<p>200</p>"), "no token"],
    ["client_auth_unusable", () => json({ value: `a.b.c\r\n${token}` }), "not one JWT"],
    ["provider_unavailable", () => json({ message: token }, 503), "503"],
    [
      "provider_unavailable",
      () => Response.redirect(other.variables.ACTIONS_ID_TOKEN_REQUEST_URL, 307),
      "redirects",
    ],
    ["client_auth_unusable", () => new Response("a".repeat(4 * 1024 * 1024 + 1)), "no token"],
    ["provider_unavailable", hang, "500 ms"],
  ];
  setVariables(runner.variables);
  for (const [code, answer, ...words] of answers) {
    runner.script.push(answer);
    const limit = answer === hang ? { timeoutMs: 500 } : {};
    const asked = () => it.job({ clientAssertion: "github", ...limit });
    assertNoSecret(await rejectsWith(code, asked, ...words));
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
    Deno.env.set("ACTIONS_ID_TOKEN_REQUEST_URL", address);
    Deno.env.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", value);
    assertNoSecret(await rejectsWith(code, run, ...words));
  }
  assertEquals(it.posts(), []);
  assertEquals(other.audiences, []);
});

Deno.test("client assertion: what is no single JWT is not sent", async () => {
  await using it = await federatedWorld();
  const assertion = await it.assertion();
  const texts = [
    "<!DOCTYPE html><p>502</p>",
    `${assertion}\n${assertion}`,
    `{"token":"${assertion}"}`,
    // Half written: without the signature, and without a part of the claims.
    assertion.slice(0, assertion.lastIndexOf(".")),
    assertion.slice(0, assertion.lastIndexOf(".") + 1),
    assertion.slice(0, assertion.indexOf(".") + 9),
    `${assertion}&scope=admin`,
  ];
  for (const text of texts) {
    const clientAssertionFile = await it.file(text);
    const run = () => it.job({ clientAssertionFile });
    await rejectsWith("client_auth_unusable", run, clientAssertionFile, "not one JWT");
  }
  assertEquals(it.posts(), []);
});

test("client assertion: an error does not show it, however the provider echoes it", async (world) => {
  const { issuer, clientId, script } = world.provider;
  const clientAssertion = await (await AssertionIssuer.make()).assertion(issuer, clientId);
  script.token.push((_, form) => {
    const words = ["client_assertion_type", "client_assertion"].map((name) => form.get(name));
    return json({ error: "invalid_client", error_description: words.join(": ") }, 401);
  });
  const run = () => world.job({ clientAssertion });
  const error = await rejectsWith("provider_refused", run, "jwt-bearer: [removed]");
  assertNoSecret(error, [clientAssertion.split(".")[2]!]);
});
