// What providers are set to, as far as their documentation says.
import { assert, assertEquals } from "@std/assert";
// @ts-types="@types/oidc-provider"
import type { JWKS } from "oidc-provider";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/entry.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import type { OidcProviderOptions } from "../../support/oidc_provider.ts";
import { answerWith, oidcProviderWorld, renew, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type Row = [what: string, provider: OidcProviderOptions, options?: Partial<SessionOptions>];

const RSA = {
  name: "RSA-PSS",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};

const ROWS: Row[] = [
  ["no refresh token, opaque", { issueRefreshToken: false }],
  ["no refresh token, JWT", { issueRefreshToken: false, jwtAccessTokens: true }],
  ["a short life", { accessTokenTtl: 100, idTokenTtl: 100, refreshTokenTtl: 600 }],
  [
    "like Microsoft Entra: path issuer, ID token as the bearer, no revocation",
    { path: "/tenant/v2.0", jwtAccessTokens: true, revocation: false, idTokenTtl: 4000 },
    { bearer: "id_token" },
  ],
  [
    "like Auth0: issuer with a slash, audience, JWT, rotation",
    { path: "/", jwtAccessTokens: true },
    { audience: "https://api.example.com" },
  ],
  [
    "like Keycloak: realm, JWT of five minutes, no rotation",
    {
      path: "/realms/acme",
      jwtAccessTokens: true,
      accessTokenTtl: 300,
      idTokenTtl: 300,
      rotateRefreshToken: false,
    },
  ],
  ["ID token by ES256", signedBy("ES256", { name: "ECDSA", namedCurve: "P-256" })],
  ["ID token by PS256", signedBy("PS256", RSA)],
  ["ID token by EdDSA", signedBy("EdDSA", { name: "Ed25519" })],
];

function signedBy(alg: string, params: Algorithm & { namedCurve?: string }): OidcProviderOptions {
  return {
    async configure(config) {
      const pair = await crypto.subtle.generateKey(params, true, ["sign", "verify"]);
      const { privateKey } = pair as CryptoKeyPair;
      const { key_ops: _, ext: _1, ...jwk } = await crypto.subtle.exportKey("jwk", privateKey);
      const key = { ...jwk, use: "sig", alg, kid: alg };
      config.jwks = { keys: [...config.jwks!.keys, key] } as JWKS;
      Object.assign(config.clients![0]!, { id_token_signed_response_alg: alg });
    },
  };
}

/** Whether a token is of the signed kind. */
function isJwt(token: string): boolean {
  return token.split(".").length === 3;
}

for (const [what, provider, own] of ROWS) {
  Deno.test(`provider settings: ${what}: sign-in, refresh and sign-out`, async () => {
    await using world = await oidcProviderWorld(provider);
    const options = { ...world.options, ...own };
    const session = await createSession(options);
    const key = credentialKey(world.provider.issuer, world.provider.clientId, options.audience);
    const stored = () => world.backend.get(key)!;
    const first = stored();
    assertEquals(isJwt(first.access_token), provider.jwtAccessTokens ?? false);
    assertEquals(Boolean(first.refresh_token), provider.issueRefreshToken ?? true);
    const isIdToken = options.bearer === "id_token";
    assertEquals(await session.accessToken(), isIdToken ? first.id_token : first.access_token);
    assert(await session.get("thing"));
    const seconds = (isIdToken ? provider.idTokenTtl : provider.accessTokenTtl) ?? 3600;
    // An ID token ends by the provider's clock, which does not go along: so a little earlier.
    world.clock.advance((isIdToken ? seconds - 100 : seconds) * 1000);
    const isRenewed = provider.issueRefreshToken !== false;
    if (isRenewed) {
      await session.accessToken();
      const isRotated = stored().refresh_token !== first.refresh_token;
      assertEquals(isRotated, provider.rotateRefreshToken ?? true);
    } else {
      await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
      await createSession(options);
    }
    const { access_token, refresh_token } = stored();
    assert(access_token !== first.access_token);
    assertEquals(world.codes.length, isRenewed ? 1 : 2);
    const canRevoke = provider.revocation !== false && (isRenewed || !provider.jwtAccessTokens);
    const { revocation, keys } = await session.clear({ revoke: true });
    assertEquals([revocation, keys.length], [canRevoke ? "revoked" : "not_supported", 1]);
    if (!canRevoke) return;
    assertEquals(await world.provider.isActive(refresh_token ?? access_token), false);
  });
}

test("provider settings: encrypted ID tokens are refused, with what to switch off, and the new refresh token is kept", async (world) => {
  const id_token = "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d";
  const words = "Switch off the encryption of ID tokens";
  answerWith(world, { id_token });
  await rejectsWith("id_token_invalid", () => world.signIn(), words);
  const session = await world.signIn();
  answerWith(world, { id_token, refresh_token: "r2" });
  await rejectsWith("id_token_invalid", () => renew(session), "encryption");
  assertEquals(world.stored().refresh_token, "r2");
});
