import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/oidc-provider"
import type { Configuration, JWKS } from "oidc-provider";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/entry.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import type { Session } from "../../../client/session.ts";
import type { OidcProviderOptions, TestOidcProvider } from "../../support/oidc_provider.ts";
import {
  oidcProviderWorld,
  type ProviderWorld,
  scriptedProviderWorld,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

interface Row {
  what: string;
  provider: OidcProviderOptions;
  options?: Partial<SessionOptions>;
}

const REFRESH: [what: string, provider: OidcProviderOptions][] = [
  ["rotation on", { rotateRefreshToken: true }],
  ["rotation off", { rotateRefreshToken: false }],
  ["no refresh token", { issueRefreshToken: false }],
];

const FORMATS: [what: string, provider: OidcProviderOptions][] = [
  ["opaque access token", { jwtAccessTokens: false }],
  ["JWT access token", { jwtAccessTokens: true }],
];

const LIVES: [what: string, provider: OidcProviderOptions][] = [
  ["an hour", {}],
  ["100 s", { accessTokenTtl: 100, idTokenTtl: 100, refreshTokenTtl: 600 }],
];

/** All of the three together. */
const PRODUCT: Row[] = REFRESH.flatMap(([refresh, a]) =>
  FORMATS.flatMap(([format, b]) =>
    LIVES.map(([life, c]) => ({
      what: `${refresh}, ${format}, ${life}`,
      provider: { ...a, ...b, ...c },
    }))
  )
);

function signedBy(alg: string, params: RsaHashedKeyGenParams | EcKeyGenParams | Algorithm): Row {
  return {
    what: `ID token by ${alg}`,
    provider: { configure: (config) => addKey(config, alg, params) },
  };
}

async function addKey(
  config: Configuration,
  alg: string,
  params: RsaHashedKeyGenParams | EcKeyGenParams | Algorithm,
): Promise<void> {
  const { privateKey } = await crypto.subtle.generateKey(params, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const { key_ops: _ops, ext: _ext, alg: _alg, ...jwk } = await crypto.subtle.exportKey(
    "jwk",
    privateKey,
  );
  const key = { ...jwk, use: "sig", alg, kid: alg };
  config.jwks = { keys: [...config.jwks!.keys, key] } as JWKS;
  Object.assign(config.clients![0]!, { id_token_signed_response_alg: alg });
}

const RSA = {
  name: "RSA-PSS",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};

/** What the providers that people have are set to, as far as their documentation says. */
const LIKE: Row[] = [
  {
    what: "like Microsoft Entra: path issuer, ID token as the bearer, no revocation",
    provider: { path: "/tenant/v2.0", jwtAccessTokens: true, revocation: false, idTokenTtl: 4000 },
    options: { bearer: "id_token" },
  },
  {
    what: "like Auth0: issuer with a slash, audience, JWT, rotation",
    provider: { path: "/", jwtAccessTokens: true },
    options: { audience: "https://api.example.com" },
  },
  {
    what: "like Auth0 without audience: opaque",
    provider: { path: "/" },
  },
  {
    what: "like Okta: custom authorization server, JWT, rotation",
    provider: { path: "/oauth2/default", jwtAccessTokens: true },
  },
  {
    what: "like Keycloak: realm, JWT of five minutes, no rotation",
    provider: {
      path: "/realms/acme",
      jwtAccessTokens: true,
      accessTokenTtl: 300,
      idTokenTtl: 300,
      rotateRefreshToken: false,
    },
  },
  {
    what: "like Google: opaque, no rotation, interval 5",
    provider: { rotateRefreshToken: false, interval: 5 },
  },
  {
    what: "like Ping: reference tokens of two hours, rotation, path",
    provider: { path: "/as", accessTokenTtl: 7200 },
  },
];

const ROWS: Row[] = [
  ...PRODUCT,
  ...LIKE,
  signedBy("ES256", { name: "ECDSA", namedCurve: "P-256" }),
  signedBy("PS256", RSA),
  signedBy("EdDSA", { name: "Ed25519" }),
];

/** Whether a token is of the signed kind. */
function isJwt(token: string): boolean {
  return token.split(".").length === 3;
}

interface Run {
  world: ProviderWorld<TestOidcProvider>;
  session: Session;
  options: SessionOptions;
  provider: OidcProviderOptions;
  stored: () => OidcCredentials;
}

async function afterItsEnd({ world, session, options, provider, stored }: Run): Promise<void> {
  const before = stored();
  const isIdToken = options.bearer === "id_token";
  const seconds = (isIdToken ? provider.idTokenTtl : provider.accessTokenTtl) ?? 3600;
  // An ID token ends by the provider's clock, which does not go along: so a little earlier.
  world.clock.advance((isIdToken ? seconds - 100 : seconds) * 1000);
  if (provider.issueRefreshToken === false) {
    await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
    await createSession(options);
    assertEquals(world.codes.length, 2);
    return;
  }
  await session.accessToken();
  const isRotated = stored().refresh_token !== before.refresh_token;
  assertEquals(isRotated, provider.rotateRefreshToken ?? true);
  assertEquals(stored().access_token === before.access_token, false);
  assertEquals(world.codes.length, 1);
}

async function signsOut({ world, session, provider, stored }: Run): Promise<void> {
  const { refresh_token, access_token } = stored();
  const canRevoke = provider.revocation !== false &&
    (Boolean(refresh_token) || !provider.jwtAccessTokens);
  const { revocation, keys } = await session.clear({ revoke: true });
  assertEquals([revocation, keys.length], [canRevoke ? "revoked" : "not_supported", 1]);
  if (!canRevoke) return;
  assertEquals(await world.provider.isActive(refresh_token ?? access_token), false);
}

for (const { what, provider, options: own } of ROWS) {
  Deno.test(`provider matrix: ${what}`, async () => {
    await using world = await oidcProviderWorld(provider);
    const options = { ...world.options, ...own };
    const session = await createSession(options);
    const key = credentialKey(world.provider.issuer, world.provider.clientId, options.audience);
    const stored = () => world.backend.get(key)!;
    const { access_token, id_token, refresh_token } = stored();
    assertEquals(isJwt(access_token), provider.jwtAccessTokens ?? false);
    assertEquals(Boolean(refresh_token), provider.issueRefreshToken ?? true);
    assert(isJwt(id_token!));
    const used = options.bearer === "id_token" ? id_token : access_token;
    assertEquals(await session.accessToken(), used);
    assert(await session.get("thing"));
    world.provider.reset();
    const isShort = (provider.accessTokenTtl ?? 3600) < 120;
    if (!isShort) {
      await createSession({ ...options, interactive: false });
      assertEquals(world.provider.requests, []); // from the store alone
    }
    const run = { world, session, options, provider, stored };
    await afterItsEnd(run);
    await signsOut(run);
  });
}

/** Lets ID tokens be encrypted to a key that nobody keeps. */
async function encryptIdTokens(config: Configuration): Promise<void> {
  const { publicKey } = await crypto.subtle.generateKey(
    { ...RSA, name: "RSA-OAEP" },
    true,
    ["encrypt", "decrypt"],
  );
  const { key_ops: _ops, ext: _ext, alg: _alg, ...jwk } = await crypto.subtle.exportKey(
    "jwk",
    publicKey,
  );
  Object.assign(config.features!, { encryption: { enabled: true } });
  Object.assign(config.clients![0]!, {
    jwks: { keys: [{ ...jwk, use: "enc", kid: "enc" }] },
    id_token_encrypted_response_alg: "RSA-OAEP-256",
    id_token_encrypted_response_enc: "A256GCM",
  });
}

Deno.test("provider matrix: encrypted ID token: refused, with what to switch off", async () => {
  await using world = await oidcProviderWorld({ configure: encryptIdTokens });
  const words = ["the ID token is encrypted", "Switch off the encryption of ID tokens"];
  const error = await rejectsWith("id_token_invalid", () => createSession(world.options), ...words);
  assertEquals([error.cause, world.backend.get(world.key)], [undefined, undefined]);
});

Deno.test("provider matrix: encrypted ID token at a refresh: the new refresh token is kept", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  const id_token = "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d";
  world.provider.script.token.push(() => world.provider.tokens({ id_token, refresh_token: "r2" }));
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("id_token_invalid", run, "encrypted");
  assertEquals(world.stored().refresh_token, "r2");
});
