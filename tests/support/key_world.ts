// @ts-types="@types/oidc-provider"
import type { Configuration } from "oidc-provider";
import { rememberSecret } from "./assert_no_secret.ts";
import { AssertionIssuer, type ClientRegistration, clientWorld } from "./client_world.ts";
import { type HttpHandler, json, startHttpServer } from "./http_server.ts";
import { tempDir } from "./temp_home.ts";

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
