// @ts-types="@types/oidc-provider"
import type { Configuration } from "oidc-provider";
import { rememberSecret } from "./assert_no_secret.ts";
import { AssertionIssuer, type ClientRegistration, clientWorld } from "./client_world.ts";
import { type HttpHandler, json, startHttpServer } from "./http_server.ts";
import { tempDir } from "./temp_home.ts";

/** A private key, in the forms that a client and a provider take. */
export interface TestKey {
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

/** Makes a key of this kind. */
export async function makeKey(alg: keyof typeof KINDS): Promise<TestKey> {
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
export async function keyWorld(
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
    job: world.job,
    /** The requests by which tokens are asked for, and revoked. */
    posts: () => world.provider.requests.filter(({ method }) => method === "POST"),
    async [Symbol.asyncDispose]() {
      await dir[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

/** A client that the provider knows by the keys of another issuer. */
export async function federatedWorld() {
  const cluster = await AssertionIssuer.make();
  const it = await keyWorld([cluster.key.publicJwk]);
  const { issuer, clientId } = it.world.provider;
  const assertion = (claims = {}, sign = {}) => cluster.assertion(issuer, clientId, claims, sign);
  return { ...it, cluster, assertion };
}

/**
 * The endpoint at which a runner of GitHub Actions gives assertions to its job.
 *
 * @param assertion Makes one for an audience.
 */
export async function startGitHubRunner(assertion: (audience: string) => Promise<string>) {
  const token = "runner-Zq7Kf9-wP3xLm5";
  rememberSecret(token);
  const script: HttpHandler[] = [];
  const audiences: string[] = [];
  const { origin, [Symbol.asyncDispose]: dispose } = await startHttpServer(async (request) => {
    const { searchParams } = new URL(request.url);
    const isOwn = request.headers.get("authorization") === `Bearer ${token}`;
    if (!isOwn || searchParams.get("api-version") !== "2.0") return json({ message: "no" }, 401);
    const audience = searchParams.get("audience")!;
    audiences.push(audience);
    return await script.shift()?.(request) ?? json({ count: 1, value: await assertion(audience) });
  });
  return {
    /** Answers to the next requests, in place of an assertion. */
    script,
    /** Those that were asked for. */
    audiences,
    /** Those of the job. */
    variables: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${origin}/idtoken/9?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: token,
    },
    [Symbol.asyncDispose]: dispose,
  };
}
