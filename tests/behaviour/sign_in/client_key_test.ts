import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { readClaims } from "../../../client/entry.ts";
import { jobOptions } from "../../support/client_world.ts";
import { isPosix, makePipe } from "../../support/sandbox.ts";
import { HOUR, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { keyWorld, makeKey } from "../../support/key_world.ts";

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
  alg = "RS256" as "RS256" | "PS256",
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
  const second = await session.accessToken({ forceRefresh: true });
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
  const session = await createSession({ ...world.options, clientKeyFile });
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
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("provider_refused", run, ...words);
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
