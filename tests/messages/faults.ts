import { FileCredentialsBackend } from "../../backends/file.ts";
import { createSession } from "../../client/create_session.ts";
import type { SessionOptions } from "../../client/session_options.ts";
import { CLIENT_SECRET, jobOptions, withClient } from "../support/client_world.ts";
import type { OidcProviderOptions, TestOidcProvider } from "../support/oidc_provider.ts";
import { OwnEnv } from "../support/own_env.ts";
import {
  oidcProviderWorld,
  type ProviderWorld,
  scriptedProviderWorld,
} from "../support/provider_world.ts";
import {
  hang,
  json,
  oauthError,
  type ScriptedProvider,
  type ScriptedProviderOptions,
  truncated,
} from "../support/scripted_provider.ts";
import { freePort } from "../support/servers/free_port.ts";
import { makeSigningKey } from "../support/jwt.ts";
import { makeLocalCa } from "../support/local_ca.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTlsFront } from "../support/tunnels.ts";
import { type Heard, heardFrom, type MessageRow, originNames } from "./message_row.ts";

type World<P extends TestOidcProvider | ScriptedProvider> = ProviderWorld<P>;

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const ENDED = "2020-01-01T00:00:00.000Z";

/** A row about the certified provider. */
function real(
  what: string,
  run: (world: World<TestOidcProvider>) => unknown,
  options: OidcProviderOptions = {},
): MessageRow {
  return { what, where: "oidc-provider", hear: () => inWorld(oidcProviderWorld(options), run) };
}

/** A row about a fault that the certified provider does not have. */
function scripted(
  what: string,
  run: (world: World<ScriptedProvider>) => unknown,
  { where = "a stand-in", ...options }: ScriptedProviderOptions & { where?: string } = {},
): MessageRow {
  return { what, where, hear: () => inWorld(scriptedProviderWorld(options), run) };
}

async function inWorld<P extends TestOidcProvider | ScriptedProvider>(
  making: Promise<World<P>>,
  run: (world: World<P>) => unknown,
): Promise<Heard> {
  await using world = await making;
  const { provider, api } = world;
  return await heardFrom(() => run(world), originNames(provider.issuer, api.apiHost));
}

/** Signs in, as a script that a person runs does. */
function signIn(
  { options }: Pick<World<ScriptedProvider>, "options">,
  more: SessionOptions = {},
) {
  return createSession({ ...options, ...more });
}

/** Signs in, lets the token end, and starts again as a job does. */
async function jobAfter(
  world: World<TestOidcProvider> | World<ScriptedProvider>,
  change: () => unknown,
) {
  await using home = await tempDir();
  const credentialsBackend = new FileCredentialsBackend({ path: `${home.path}/tokens.json` });
  await using _ = await signIn(world, { credentialsBackend });
  const { key } = world;
  credentialsBackend.put(key, { ...credentialsBackend.get(key)!, expires_at: ENDED });
  await change();
  try {
    await signIn(world, { credentialsBackend, interactive: false });
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(home.path, "/home/ada");
    throw error;
  }
}

/** Answers that a provider gives to the next request of a kind. */
function answering(
  endpoint: "discovery" | "device" | "token" | "jwks",
  answer: (request: Request) => Response | Promise<Response>,
) {
  return (world: World<ScriptedProvider>) => {
    for (let times = 0; times < 3; times++) world.provider.script[endpoint].push(answer);
    return signIn(world);
  };
}

function refusal(error: string, error_description: string, status = 400) {
  return () => json({ error, error_description }, status);
}

async function withIdToken(
  world: World<ScriptedProvider>,
  idToken: () => string | Promise<string>,
) {
  world.provider.script.token.push(async () =>
    await world.provider.tokens({ id_token: await idToken() })
  );
  return await signIn(world);
}

/** A start at an address that no provider of this module's tests has. */
async function alone(issuer: string, more: SessionOptions = {}): Promise<Heard> {
  using _ = new OwnEnv();
  const options = { issuer, clientId: "my-client", onDeviceCode: () => {}, ...more };
  await using home = await tempDir();
  const credentialsBackend = new FileCredentialsBackend({ path: `${home.path}/tokens.json` });
  return await heardFrom(
    () => createSession({ ...options, credentialsBackend }),
    originNames(issuer),
  );
}

const OF_CLIENT: MessageRow[] = [
  real("The client is unknown", (world) => signIn(world, { clientId: "my-clinet" })),
  real("The client's secret is missing", (world) => signIn(world), withClient()),
  real(
    "The client's secret is wrong",
    (world) => signIn(world, { clientSecret: "an old secret" }),
    withClient(),
  ),
  real(
    "A job's client may not sign in itself",
    (world) => createSession(jobOptions(world, { clientSecret: CLIENT_SECRET })),
    withClient({ grants: [DEVICE] }),
  ),
  scripted("The client is disabled", (world) => {
    world.provider.script.device.push(refusal("invalid_client", "Client disabled", 401));
    return signIn(world);
  }, { where: "Keycloak's words" }),
  real("The client has no device flow", (world) => signIn(world, { flow: "device" }), {
    configure: (config) => {
      Object.assign(config.clients![0]!, { grant_types: ["authorization_code"] });
    },
  }),
  scripted(
    "The provider has no flow for people",
    ({ options: { onDeviceCode: _, ...options } }) => createSession(options),
    { discovery: { device_authorization_endpoint: undefined } },
  ),
  scripted(
    "The client has to be public",
    answering("device", refusal("invalid_client", "AADSTS7000218: The request body must contain")),
    { where: "Entra's words" },
  ),
  scripted(
    "A policy refuses the device flow",
    answering("token", refusal("access_denied", "AADSTS53003: Access has been blocked")),
    { where: "Entra's words" },
  ),
  scripted(
    "The client has to use DPoP",
    answering("device", refusal("invalid_request", "DPoP proof is missing")),
    { where: "Keycloak's words" },
  ),
  real("The provider has no DPoP", (world) => signIn(world, { dpop: true })),
  real("The scope is unknown", (world) => signIn(world, { scope: "openid models" }), {
    configure: (config) => {
      Object.assign(config, { scopes: ["openid", "offline_access", "models"] });
      Object.assign(config.clients![0]!, { scope: "openid offline_access" });
    },
  }),
  scripted("The audience is unknown", answering("device", () => oauthError("invalid_target"))),
];

const OF_SIGN_IN: MessageRow[] = [
  real("The person refuses", (world) => {
    world.clock.onDelay = () => world.provider.approve(world.codes[0]!.userCode, { deny: true });
    return signIn(world);
  }),
  real("Nobody approves in time", (world) => {
    world.clock.onDelay = () => {};
    return signIn(world);
  }, { deviceCodeTtl: 60 }),
  real("The session was ended", (world) => jobAfter(world, () => world.provider.revokeGrants())),
  real(
    "The refresh token has ended",
    (world) => jobAfter(world, () => world.provider.expireRefreshTokens()),
  ),
  scripted(
    "The person's account was disabled",
    (world) =>
      jobAfter(
        world,
        () => world.provider.script.token.push(refusal("invalid_grant", "User disabled")),
      ),
    {
      where: "Keycloak's words",
    },
  ),
  real("The sign-in has no refresh token", (world) => jobAfter(world, () => {}), {
    issueRefreshToken: false,
  }),
  scripted(
    "The ID token is for another client",
    (world) => withIdToken(world, () => world.provider.idToken({ aud: "another" })),
  ),
  scripted(
    "The ID token has ended",
    (world) => withIdToken(world, () => world.provider.idToken({ exp: 1_700_000_000 })),
  ),
  scripted(
    "The ID token is signed by an unknown key",
    (world) =>
      withIdToken(world, async () => world.provider.idToken({}, { key: await makeSigningKey() })),
  ),
  scripted(
    "The ID token is signed with HS256",
    (world) => withIdToken(world, () => world.provider.idToken({}, { header: { alg: "HS256" } })),
  ),
  scripted("There is no ID token, which is the bearer", (world) => {
    world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
    return signIn(world, { bearer: "id_token", scope: "offline_access" });
  }),
];

const OF_NETWORK: MessageRow[] = [
  {
    what: "Nothing listens at the issuer",
    where: "network",
    hear: () => alone(`http://127.0.0.1:${freePort()}`),
  },
  {
    what: "The host name is not known",
    where: "network, Deno's words",
    hear: () =>
      alone("https://login.exmaple.com", {
        fetch: () =>
          Promise.reject(
            new TypeError("error sending request", {
              cause: new Error("client error (Connect): dns error: failed to lookup address"),
            }),
          ),
      }),
  },
  {
    what: "The certificate is not trusted",
    where: "network",
    hear: async () => {
      await using front = startTlsFront(await (await makeLocalCa()).issue(["localhost"]));
      return await alone(`https://localhost:${front.port}`);
    },
  },
  scripted(
    "A login page of the network answers",
    answering("discovery", () =>
      new Response("<html>Welcome to the guest network</html>", {
        headers: { "content-type": "text/html" },
      })),
    { where: "network" },
  ),
  scripted("The provider does not answer", (world) => {
    world.provider.script.discovery.push(hang);
    return signIn(world, { timeoutMs: 200 });
  }, { where: "network" }),
  scripted(
    "The connection breaks off",
    answering("device", () => truncated('{"device_code"')),
    { where: "network" },
  ),
  scripted(
    "The provider is overloaded",
    answering(
      "device",
      () => new Response("busy", { status: 503, headers: { "retry-after": "30" } }),
    ),
  ),
  real(
    "The issuer has a wrong path",
    (world) => signIn(world, { issuer: `${world.provider.issuer}/realms/acme` }),
  ),
  scripted("Discovery names another issuer", (world) => signIn(world), {
    discovery: { issuer: "https://login.example.org" },
  }),
  scripted("Discovery has no token endpoint", (world) => signIn(world), {
    discovery: { token_endpoint: undefined },
  }),
];

const OF_API: MessageRow[] = [
  scripted("The API refuses the token", async (world) => {
    const session = await signIn(world);
    world.api.reject(5);
    await session.get("ping");
  }, { where: "API" }),
  {
    what: "The API refuses the API key",
    where: "API",
    hear: () =>
      inWorld(scriptedProviderWorld(), async ({ api }) => {
        const key = { apiKey: "another-api-key", apiSecret: "another-api-secret" };
        const session = await createSession({ ...key, apiHost: api.apiHost });
        await session.get("ping");
      }),
  },
  scripted("The API does not know the path", async (world) => {
    const session = await signIn(world);
    await session.get("/v2/things");
  }, { where: "API" }),
  scripted("The API fails", async (world) => {
    const session = await signIn(world);
    world.api.script.push(() => new Response("Bad gateway", { status: 502 }));
    await session.get("ping");
  }, { where: "API" }),
  scripted("Nothing listens at the API", async (world) => {
    const session = await signIn(world, { apiHost: `http://127.0.0.1:${freePort()}/v1/` });
    await session.get("ping");
  }, { where: "API" }),
];

/** Faults of a provider, a network and an API, none of which the person has made. */
export const FAULTS: readonly MessageRow[] = [
  ...OF_CLIENT,
  ...OF_SIGN_IN,
  ...OF_NETWORK,
  ...OF_API,
];
