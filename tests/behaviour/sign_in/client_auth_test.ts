import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/oidc-provider"
import type { Configuration } from "oidc-provider";
import { createSession } from "../../../client/create_session.ts";
import { init } from "../../../client/init.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { assertNoSecret, rememberSecret } from "../../support/assert_no_secret.ts";
import {
  AssertionIssuer,
  CLIENT_SECRET,
  clientKeyOf,
  type ClientRegistration,
  clientWorld,
  jobOptions,
} from "../../support/client_world.ts";
import { mustRun, succeeds } from "../../support/deno_process.ts";
import { isPosix, makePipe } from "../../support/sandbox.ts";
import { verifyJwt } from "../../support/jwt.ts";
import { startBrowserFlow } from "../../support/browser_flow.ts";
import { tempDir, withTempHome } from "../../support/temp_home.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

interface TestKey {
  pem: string;
  jwk: Record<string, unknown>;
  registered: JsonWebKey;
}

const KINDS = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384" },
  ES512: { name: "ECDSA", namedCurve: "P-521" },
  EdDSA: { name: "Ed25519" },
};

async function makeKey(alg: keyof typeof KINDS): Promise<TestKey> {
  const rsa = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  const params = { ...rsa, ...KINDS[alg] };
  const pair = await crypto.subtle.generateKey(params, true, ["sign", "verify"]) as CryptoKeyPair;
  const der = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const body = der.toBase64().match(/.{1,64}/g)!.join("\n");
  rememberSecret(der.slice(-16).toBase64());
  const { key_ops: _, ext: _1, ...jwk } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const { key_ops: _2, ext: _3, ...open } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  rememberSecret(jwk.d!);
  const named = { kid: `key-${alg}`, use: "sig", alg };
  return {
    pem: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    jwk: { ...jwk, ...named },
    registered: { ...open, ...named } as JsonWebKey,
  };
}

/** A world whose client has a registered key, and a folder for the client's files. */
async function keyWorld(
  keys: JsonWebKey[],
  more: ClientRegistration = {},
  settings: Configuration = {},
) {
  const world = await clientWorld({ method: "private_key_jwt", keys, ...more }, {
    configure(config) {
      Object.assign(config, settings, {
        enabledJWA: {
          clientAuthSigningAlgValues: ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"],
        },
      });
      const client = config.clients![0]!;
      const [{ alg } = {}] = keys as { alg?: string }[];
      Object.assign(client, { token_endpoint_auth_signing_alg: alg });
    },
  });
  const dir = await tempDir();
  return {
    world,
    file: async (text: string, name = "secret") => {
      const path = `${dir.path}/${name}`;
      await Deno.writeTextFile(path, text, { mode: 0o600 });
      await Deno.chmod(path, 0o600);
      return path;
    },
    dir: dir.path,
    async [Symbol.asyncDispose]() {
      await dir[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const) {
  Deno.test(`client key: an ${alg} key as a JWK signs the client in`, async () => {
    const key = await makeKey(alg);
    await using it = await keyWorld([key.registered]);
    const clientKeyFile = await it.file(JSON.stringify(key.jwk));
    await using session = await createSession(jobOptions(it.world, { clientKeyFile }));
    assert(await it.world.provider.isActive(await session.accessToken()));
  });
  if (alg === "PS256") continue; // PEM does not tell it from RS256
  Deno.test(`client key: an ${alg} key as PEM signs the client in`, async () => {
    const key = await makeKey(alg);
    await using it = await keyWorld([key.registered]);
    const clientKeyFile = await it.file(`some words\n${key.pem}`);
    await using session = await createSession(jobOptions(it.world, { clientKeyFile }));
    assert(await it.world.provider.isActive(await session.accessToken()));
  });
}

Deno.test("client key: RSA as PEM signs PS256 where the provider takes nothing else", async () => {
  const key = await makeKey("PS256");
  await using it = await keyWorld([key.registered]);
  await using world = await scriptedProviderWorld({
    discovery: { token_endpoint_auth_signing_alg_values_supported: ["ES256", "PS256"] },
  });
  const clientKeyFile = await it.file(key.pem);
  let header: { alg?: string } = {};
  world.provider.script.token.push((_, form) => {
    header = JSON.parse(atob(form.get("client_assertion")!.split(".")[0]!));
  });
  await createSession(jobOptions(world, { clientKeyFile }));
  assertEquals(header, { alg: "PS256" });
});

Deno.test("client key: kid and x5t#S256 of a JWK go into the header, the issuer is the audience", async () => {
  const key = await makeKey("RS256");
  await using it = await keyWorld([key.registered]);
  await using world = await scriptedProviderWorld();
  const clientKeyFile = await it.file(JSON.stringify({ ...key.jwk, "x5t#S256": "thumb" }));
  const parts: Record<string, unknown>[] = [];
  world.provider.script.token.push((_, form) => {
    const assertion = form.get("client_assertion")!;
    parts.push(
      ...assertion.split(".").slice(0, 2).map((part) =>
        JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })))
      ),
    );
  });
  await createSession(jobOptions(world, { clientKeyFile }));
  assertEquals(parts[0], { alg: "RS256", kid: "key-RS256", "x5t#S256": "thumb" });
  const { iss, sub, aud } = parts[1]!;
  const { clientId, issuer } = world.provider;
  assertEquals([iss, sub, aud], [clientId, clientId, issuer]);
});

Deno.test("client key: Microsoft Entra gets its token endpoint as the audience", async () => {
  const key = await makeKey("RS256");
  await using it = await keyWorld([key.registered]);
  const issuer = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
  await using world = await scriptedProviderWorld({ issuer });
  const clientKeyFile = await it.file(JSON.stringify(key.jwk));
  let aud: unknown;
  world.provider.script.token.push((_, form) => {
    const claims = form.get("client_assertion")!.split(".")[1]!;
    aud = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).aud;
  });
  const { apiHost: _, ...options } = jobOptions(world, { clientKeyFile });
  await createSession({ ...options, fetch: world.provider.fetch });
  assertEquals(typeof aud === "string" && aud.endsWith("/token"), true);
});

/** A real provider that takes only one audience of a client's assertion; and those that it was sent. */
async function audienceWorld(takes: (aud: string, issuer: string) => boolean) {
  const key = await makeKey("ES256");
  const seen: string[] = [];
  const it = await keyWorld([key.registered], {}, {
    assertJwtClientAuthClaimsAndHeader(ctx, { aud }) {
      seen.push(String(aud));
      if (takes(String(aud), ctx.oidc.issuer)) return;
      throw Object.assign(new Error("invalid_client"), {
        error: "invalid_client",
        error_description: "client authentication failed",
        expose: true,
        status: 401,
        statusCode: 401,
      });
    },
  });
  return { ...it, seen, clientKeyFile: await it.file(JSON.stringify(key.jwk)) };
}

Deno.test("client key: a provider that takes its token endpoint alone as the audience gets that", async () => {
  const it = await audienceWorld((aud) => aud.endsWith("/token"));
  const { world, seen, clientKeyFile } = it;
  try {
    await using session = await createSession(jobOptions(world, { clientKeyFile }));
    const first = await session.accessToken();
    const { issuer } = world.provider;
    assertEquals(seen, [issuer, `${issuer}/token`]);
    const second = await session.accessToken({ forceRefresh: true });
    assert(first !== second && await world.provider.isActive(second));
    assertEquals(seen, [issuer, `${issuer}/token`, `${issuer}/token`], "it learnt nothing");
  } finally {
    await it[Symbol.asyncDispose]();
  }
});

Deno.test("client key: a provider that refuses both audiences is asked by its issuer again", async () => {
  let isKnown = true;
  const it = await audienceWorld((aud, issuer) => isKnown && aud === issuer);
  const { world, seen, clientKeyFile } = it;
  try {
    await using session = await createSession(jobOptions(world, { clientKeyFile }));
    isKnown = false;
    const renew = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("provider_refused", renew, "clientKeyFile");
    const { issuer } = world.provider;
    assertEquals(seen, [issuer, issuer, `${issuer}/token`]);
    isKnown = true;
    assert(await world.provider.isActive(await renew()));
    assertEquals(seen.slice(3), [issuer]);
  } finally {
    await it[Symbol.asyncDispose]();
  }
});

Deno.test("client key: an assertion is for no token endpoint on another host than the issuer's", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.registered]);
  await using world = await scriptedProviderWorld();
  const { port } = new URL(world.provider.issuer);
  world.provider.discovery = { token_endpoint: `http://localhost:${port}/token` };
  const seen: unknown[] = [];
  const refuse = (_: Request, form: URLSearchParams) => {
    seen.push(
      JSON.parse(atob(
        form.get("client_assertion")!.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/"),
      )).aud,
    );
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
  const session = await createSession({ ...world.options, clientKeyFile });
  world.clock.advance(HOUR);
  const token = await session.accessToken();
  assertEquals((await session.clear({ revoke: true })).revocation, "revoked");
  assertEquals(await world.provider.isActive(token), false);
  const posts = world.provider.requests.filter(({ method }) => method === "POST");
  assertEquals(posts.length, 5); // device, token, refresh, and both tokens revoked
  assert(posts.every(({ form }) => form.client_assertion !== undefined));
});

Deno.test("client key: it proves the client of a person in the browser, too", async () => {
  const key = await makeKey("ES256");
  await using it = await keyWorld([key.registered]);
  const clientKeyFile = await it.file(key.pem);
  const options = { clientKeyFile, authorizationParameters: { prompt: "consent" } };
  const { prompt, session } = await startBrowserFlow(it.world, options);
  await it.world.provider.follow(prompt.url);
  await using signedIn = await session;
  assert(await it.world.provider.isActive(await signedIn.accessToken()));
  await signedIn.accessToken({ forceRefresh: true });
  const posts = it.world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals(posts.map(({ form }) => form.client_assertion !== undefined), [true, true]);
});

Deno.test("client key: a key that is renewed in its file is used at the next request", async () => {
  const [one, other] = [await makeKey("ES256"), await makeKey("ES256")];
  const second = { ...other.registered, kid: "second" };
  await using it = await keyWorld([one.registered, second as JsonWebKey]);
  const clientKeyFile = await it.file(one.pem);
  await using session = await createSession(jobOptions(it.world, { clientKeyFile }));
  await it.file(other.pem);
  it.world.clock.advance(HOUR);
  assert(await it.world.provider.isActive(await session.accessToken()));
});

Deno.test("client key: a key that the provider does not know is refused, with what to look at", async () => {
  const [known, other] = [await makeKey("ES256"), await makeKey("ES256")];
  await using it = await keyWorld([known.registered]);
  const clientKeyFile = await it.file(other.pem);
  const run = () => createSession(jobOptions(it.world, { clientKeyFile }));
  await rejectsWith(
    "provider_refused",
    run,
    "the provider refused the client",
    clientKeyFile,
    "VM_OIDC_CLIENT_KEY_FILE",
    "registered",
  );
});

/** The text of a file, and words of the refusal that it gets. */
type Unusable = [text: string, ...words: string[]];

/** Expects the refusal of each file, before any request. */
async function expectUnusable(it: Awaited<ReturnType<typeof keyWorld>>, rows: Unusable[]) {
  for (const [text, ...words] of rows) {
    const clientKeyFile = await it.file(text);
    const run = () => createSession(jobOptions(it.world, { clientKeyFile }));
    await rejectsWith("client_auth_unusable", run, clientKeyFile, "clientKeyFile", ...words);
  }
  assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
}

const hasOpenssl = await succeeds(["openssl", "version"]);
const openssl = (...args: string[]) => mustRun(["openssl", ...args]);

Deno.test({
  name: "client key: what openssl writes and cannot be used is told apart, and nothing is sent",
  ignore: !hasOpenssl,
  async fn() {
    const key = await makeKey("RS256");
    await using it = await keyWorld([key.registered]);
    const pkcs8 = await it.file(key.pem, "pkcs8");
    const old = await openssl("rsa", "-traditional", "-in", pkcs8);
    const locked = await openssl("pkcs8", "-topk8", "-in", pkcs8, "-passout", "pass:abcd");
    const open = await openssl("pkey", "-in", pkcs8, "-pubout");
    const short = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
    await expectUnusable(it, [
      [old, "RSA PRIVATE KEY", "openssl pkcs8 -topk8"],
      [locked, "encrypted"],
      [open, "no private key"],
      [await openssl(...short), "1024 bits"],
    ]);
  },
});

Deno.test("client key: what cannot be used is told apart, and nothing is sent", async () => {
  const key = await makeKey("RS256");
  const { d: _, p: _1, q: _2, dp: _3, dq: _4, qi: _5, ...open } = key.jwk;
  await using it = await keyWorld([key.registered]);
  await expectUnusable(it, [
    ["", "empty"],
    [" \n", "empty"],
    [JSON.stringify(open), "public key"],
    [JSON.stringify({ keys: [key.jwk] }), "a set of keys"],
    [JSON.stringify({ kty: "oct", k: "c2VjcmV0" }), "shared secret"],
    [JSON.stringify({ ...key.jwk, alg: "HS256" }), "kind or alg"],
    [JSON.stringify({ ...key.jwk, alg: "none" }), "kind or alg"],
    [JSON.stringify({ ...key.jwk, alg: "ES256" }), "damaged, or not of the kind"],
    [JSON.stringify({ ...key.jwk, alg: "constructor" }), "kind or alg"],
    [JSON.stringify(key.jwk).slice(0, -5), "no whole JSON"],
    [key.pem.replace(/[A-Za-z]{20}/, "A"), "damaged"],
    ["<html>Sign in</html>", "neither PEM"],
    ["x".repeat(70_000), "70000 bytes"],
  ]);
});

Deno.test({
  name: "client key: P-521 is refused by a Deno that does not sign by it, before any request",
  ignore: !hasOpenssl,
  async fn() {
    const key = await makeKey("ES256");
    await using it = await keyWorld([key.registered]);
    const curve = ["-pkeyopt", "ec_paramgen_curve:P-521"];
    const clientKeyFile = await it.file(await openssl("genpkey", "-algorithm", "EC", ...curve));
    const sign = () => Promise.reject(new DOMException("no P-521", "NotSupportedError"));
    Object.defineProperty(crypto.subtle, "sign", { value: sign, configurable: true });
    try {
      const run = () => createSession(jobOptions(it.world, { clientKeyFile }));
      await rejectsWith("client_auth_unusable", run, clientKeyFile, "does not sign by P-521");
    } finally {
      delete (crypto.subtle as Partial<SubtleCrypto>).sign;
    }
    assertEquals(it.world.provider.requests.filter(({ method }) => method === "POST"), []);
  },
});

Deno.test({
  name: "client key: only a regular file that is closed to others is read",
  ignore: !isPosix, // Windows has neither pipes in folders nor modes
  async fn() {
    const key = await makeKey("ES256");
    await using it = await keyWorld([key.registered]);
    const path = await it.file(key.pem);
    const attempt = (clientKeyFile: string, ...words: string[]) =>
      rejectsWith(
        "client_auth_unusable",
        () => createSession(jobOptions(it.world, { clientKeyFile })),
        clientKeyFile,
        ...words,
      );
    await attempt(`${it.dir}/absent`, "not there");
    await attempt(it.dir, "no regular file");
    await makePipe(`${it.dir}/pipe`);
    await attempt(`${it.dir}/pipe`, "no regular file");
    await attempt("/dev/zero", "no regular file");
    await Deno.symlink(`${it.dir}/pipe`, `${it.dir}/link`);
    await attempt(`${it.dir}/link`, "no regular file");
    if (Deno.uid() !== 0) {
      await Deno.chmod(path, 0o644);
      await attempt(path, "others may read it (mode 0644)", "chmod 600");
    } else {
      // The superuser's own file may be open: mounts of a cluster are. Another user's may not.
      await Deno.chmod(path, 0o666);
      await attempt(path, "all users may write it", "chmod o-w");
      await Deno.chown(path, 1234, 1234);
      await Deno.chmod(path, 0o644);
      await attempt(path, "others may read it (mode 0644)", "chmod 600");
      await Deno.chmod(path, 0o600);
      await attempt(path, "belongs to another user");
      await Deno.chown(path, 0, 0);
      await Deno.symlink(path, `${it.dir}/planted`);
      await mustRun(["chown", "-h", "1234", `${it.dir}/planted`]);
      await attempt(`${it.dir}/planted`, "a link of another user");
    }
  },
});

/** A client that the provider knows by the keys of another issuer. */
async function federatedWorld() {
  const cluster = await AssertionIssuer.make();
  const it = await keyWorld([cluster.key.publicJwk]);
  const { issuer, clientId } = it.world.provider;
  const assertion = (claims = {}, sign = {}) => cluster.assertion(issuer, clientId, claims, sign);
  return { ...it, cluster, assertion, [Symbol.asyncDispose]: it[Symbol.asyncDispose].bind(it) };
}

Deno.test("client assertion: one that another issuer has signed signs the client in", async () => {
  await using it = await federatedWorld();
  const clientAssertionFile = await it.file(`\n${await it.assertion()}\n`);
  await using session = await createSession(jobOptions(it.world, { clientAssertionFile }));
  assert(await it.world.provider.isActive(await session.accessToken()));
  assertEquals(it.world.codes, []);
});

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

Deno.test("client assertion: a cluster's own issuer and subject name the client at a provider that trusts them", async () => {
  const cluster = await AssertionIssuer.make();
  await using dir = await tempDir();
  await using world = await scriptedProviderWorld();
  const claims = {
    iss: "https://kubernetes.example.com",
    sub: "system:serviceaccount:jobs:validate",
  };
  const clientAssertionFile = `${dir.path}/token`;
  const { issuer, clientId } = world.provider;
  const assertion = await cluster.assertion(issuer, clientId, claims);
  await Deno.writeTextFile(clientAssertionFile, assertion, { mode: 0o600 });
  const trust = async (form: URLSearchParams) => {
    const found = await verifyJwt(form.get("client_assertion") ?? "", cluster.key.publicJwk);
    const isTrusted = found?.iss === claims.iss && found.sub === claims.sub && found.aud === issuer;
    const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    return isTrusted && form.get("client_assertion_type") === type &&
      form.get("client_id") === clientId && !form.has("client_secret");
  };
  world.provider.script.token.push(async (request, form) => {
    if (await trust(form) && !request.headers.has("authorization")) return;
    return Response.json({ error: "invalid_client" }, { status: 401 });
  });
  await using session = await createSession(jobOptions(world, { clientAssertionFile }));
  assert(world.provider.isActive(await session.accessToken()));
});

Deno.test("client assertion: wrong, ended, early and missing ones are told apart", async () => {
  await using it = await federatedWorld();
  const { clientId } = it.world.provider;
  const stranger = await AssertionIssuer.make();
  const now = Math.floor(Date.now() / 1000);
  const rows: [assertion: string, ...words: string[]][] = [
    [await it.assertion({ iat: now - 900, exp: now - 300 }), "ended at", "renews it"],
    [await it.assertion({ nbf: now + 7200, exp: now + 9000 }), "begins at", "clock"],
    [await it.assertion({ sub: "another-client", iss: "another-client" }), '"another-client"'],
    [await it.assertion({ aud: "https://other.example.com" }), '"https://other.example.com"'],
    [await stranger.assertion(it.world.provider.issuer, clientId), "trust exactly these"],
  ];
  it.world.clock.advance(Date.now() - it.world.clock.now());
  for (const [assertion, ...words] of rows) {
    const clientAssertionFile = await it.file(assertion);
    const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
    await rejectsWith(
      "provider_refused",
      run,
      "the provider refused the client",
      "VM_OIDC_CLIENT_ASSERTION_FILE",
      ...words,
    );
  }
  const clientAssertionFile = `${it.dir}/absent`;
  const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
  await rejectsWith("client_auth_unusable", run, "not there", clientAssertionFile);
});

Deno.test("client assertion: neither alg none nor HS256 by the public key passes", async () => {
  await using it = await federatedWorld();
  const secret = JSON.stringify(it.cluster.key.publicJwk);
  for (const alg of ["none", "HS256"] as const) {
    const text = await it.assertion({}, { alg, secret });
    const clientAssertionFile = await it.file(text);
    const run = () => createSession(jobOptions(it.world, { clientAssertionFile }));
    const code = alg === "none" ? "client_auth_unusable" : "provider_refused";
    await rejectsWith(code, run, clientAssertionFile);
  }
});

Deno.test("client assertion: half of one, while another program writes it, is not sent", async () => {
  await using it = await federatedWorld();
  const [old, renewed] = [await it.assertion(), await it.assertion()];
  const clientAssertionFile = await it.file(old);
  let reads = 0;
  const read = Deno.readTextFileSync;
  Deno.readTextFileSync = (path) => {
    if (path !== clientAssertionFile || reads++ > 0) return read(path);
    Deno.writeTextFileSync(path, renewed.slice(0, -20));
    const half = read(path);
    Deno.writeTextFileSync(path, `${renewed}\n`);
    return half;
  };
  try {
    await using session = await createSession(jobOptions(it.world, { clientAssertionFile }));
    assert(await it.world.provider.isActive(await session.accessToken()));
  } finally {
    Deno.readTextFileSync = read;
  }
  assertEquals(reads, 2);
});

Deno.test("client assertion: what is no single JWT is not sent", async () => {
  await using it = await federatedWorld();
  const assertion = await it.assertion();
  const rows: [text: string, word: string][] = [
    ["", "empty"],
    ["<!DOCTYPE html><p>502</p>", "a page"],
    [`${assertion}\n${assertion}`, "not one JWT"],
    [`{"token":"${assertion}"}`, "not one JWT"],
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

const PAIRS: [SessionOptions, string, string][] = [
  [{ clientSecret: "abcdefgh", clientKeyFile: "/k" }, "clientSecret", "clientKeyFile"],
  [{ clientKeyFile: "/k", clientAssertionFile: "/a" }, "clientKeyFile", "clientAssertionFile"],
];
for (const [options, ...names] of PAIRS) {
  Deno.test(`client authentication: ${names.join(" and ")} exclude each other`, async () => {
    await using world = await scriptedProviderWorld();
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
