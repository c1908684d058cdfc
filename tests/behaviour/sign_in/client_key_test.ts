import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { jobOptions } from "../../support/client_world.ts";
import { startBrowserFlow } from "../../support/browser_flow.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { keyWorld, makeKey } from "../../support/key_world.ts";
const HOUR = 3600_000;

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
    "the provider answered",
    clientKeyFile,
    "VM_OIDC_CLIENT_KEY_FILE",
    "registered",
  );
});
