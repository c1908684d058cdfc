import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { AssertionIssuer } from "../../../support/client_world.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { KeycloakRealm } from "./keycloak.ts";
import { audienceOf, type KeycloakClientKind, SECRET } from "./keycloak_realm.ts";
import type { Row } from "./rows.ts";
import { type Fault, isTold } from "./told.ts";
import { MatrixWorld } from "./world.ts";

const DAY = 24 * 3600_000;

/** The issuer and the subject of a service account's token, as Kubernetes writes them. */
const CLUSTER = "https://kubernetes.default.svc.cluster.local";
const SUBJECT = "system:serviceaccount:jobs:validate";

const CLUSTERS_CLIENT = {
  clientId: "client-cluster",
  publicClient: false,
  serviceAccountsEnabled: true,
  clientAuthenticatorType: "federated-jwt",
  attributes: { "jwt.credential.issuer": "cluster", "jwt.credential.sub": SUBJECT },
};

function clusterAt(port: number) {
  const config = {
    issuer: CLUSTER,
    clientId: "unused",
    clientSecret: "unused",
    authorizationUrl: "https://unused.example.com/",
    tokenUrl: "https://unused.example.com/",
    useJwksUrl: "true",
    validateSignature: "true",
    jwksUrl: `http://127.0.0.1:${port}/`,
    supportsClientAssertions: "true",
  };
  return { alias: "cluster", providerId: "oidc", enabled: true, hideOnLogin: true, config };
}

/** A hub's client, whose tokens another one exchanges. */
const HUBS_CLIENT = {
  clientId: "client-hub",
  publicClient: true,
  attributes: {
    "oauth2.device.authorization.grant.enabled": "true",
    "standard.token.exchange.enabled": "true",
  },
  protocolMappers: [audienceOf("client-exchange")],
};
const EXCHANGING = {
  clientId: "client-exchange",
  publicClient: false,
  secret: "a-secret-of-notebooks",
  attributes: { "standard.token.exchange.enabled": "true" },
  protocolMappers: [audienceOf("client-secret")],
};

/** Settings that only Keycloak has. */
export const KEYCLOAK_ROWS: Record<string, Row> = {
  "client without the flow in the browser": fails(
    "The client may not use the flow in the browser",
    "device",
    (world) => createSession(world.browserOptions),
  ),
  "client that has to push its requests": fails(
    "The client has to push its requests",
    "pushed",
    (world) => createSession(world.browserOptions),
  ),
  "ID token signed by a secret": fails(
    "The ID token is signed by a secret",
    "symmetric",
    (world) => createSession(world.options),
  ),

  async "offline_access not allowed"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    const roles = `${provider.user}/role-mappings/realm`;
    await provider.admin("DELETE", roles, await provider.admin("GET", roles));
    const start = () => createSession(world.options);
    await isTold(world, "The person may not have offline_access", start);
    await using session = await createSession({ ...world.options, scope: "openid email" });
    assert(await provider.isActive(await session.accessToken()));
  },

  async "all tokens of a client ended"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "client-ended" });
    await (await createSession(world.options)).close();
    assert(provider instanceof KeycloakRealm);
    const path = "/clients?clientId=client-ended";
    const [{ id }] = await provider.admin("GET", path) as [{ id: string }];
    const notBefore = Math.ceil(Date.now() / 1000) + 1;
    await provider.admin("PUT", `/clients/${id}`, { notBefore });
    world.clock.advance(DAY);
    const start = () => createSession({ ...world.options, interactive: false });
    await isTold(world, "An administrator has ended all tokens of the client", start);
  },

  async "client that has to use PKCE"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider, { clientId: "client-pkce" });
    for (const options of [world.options, { ...world.browserOptions, profile: "browser" }]) {
      await using session = await createSession(options);
      assert(await provider.isActive(await session.accessToken()));
    }
  },

  async "client whose assertions a cluster makes"(kind, provider) {
    assert(provider instanceof KeycloakRealm);
    const cluster = await AssertionIssuer.make();
    await using keys = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => Response.json({ keys: [cluster.key.publicJwk] }),
    );
    await provider.admin("POST", "/identity-provider/instances", clusterAt(keys.addr.port));
    await provider.admin("POST", "/clients", CLUSTERS_CLIENT);
    await using world = await MatrixWorld.make(kind, provider, CLUSTERS_CLIENT);
    await using dir = await tempDir();
    const clientAssertionFile = `${dir.path}/token`;
    const renew = async (claims: Record<string, unknown> = {}) => {
      const all = { iss: CLUSTER, sub: SUBJECT, ...claims };
      const token = await cluster.assertion(provider.issuer, CLUSTERS_CLIENT.clientId, all);
      await Deno.writeTextFile(clientAssertionFile, `${token}\n`, { mode: 0o600 });
    };
    const { onDeviceCode: _, ...options } = world.options;
    const job = { ...options, flow: "client_credentials", clientAssertionFile } as const;
    await renew();
    await using session = await createSession(job);
    const first = await session.accessToken();
    const force = () => session.accessToken({ forceRefresh: true });
    // Keycloak takes each assertion once, and those of this service account and issuer alone.
    await rejectsWith("provider_refused", force, "clientAssertionFile");
    for (
      const claims of [{ sub: "system:serviceaccount:jobs:x" }, { iss: "https://evil.example" }]
    ) {
      await renew(claims);
      await rejectsWith("provider_refused", force, "trust its iss, sub and aud");
    }
    await renew();
    assert(await force() !== first);
  },

  async "exchange of a person's token"(kind, provider) {
    assert(provider instanceof KeycloakRealm);
    for (const client of [HUBS_CLIENT, EXCHANGING]) {
      await provider.admin("POST", "/clients", client);
    }
    await using world = await MatrixWorld.make(kind, provider, { clientId: "client-hub" });
    await using person = await createSession({ ...world.options, scope: "openid" });
    await using dir = await tempDir();
    const subjectTokenFile = `${dir.path}/token`;
    await Deno.writeTextFile(subjectTokenFile, await person.accessToken(), { mode: 0o600 });
    const { onDeviceCode: _, ...options } = world.options;
    const { clientId, secret: clientSecret } = EXCHANGING;
    const job = {
      ...options,
      clientId,
      clientSecret,
      subjectTokenFile,
      flow: "token_exchange",
    } as const;
    await using session = await createSession({ ...job, scope: "openid" });
    assert(await provider.isActive(await session.accessToken()));
    assertEquals((await session.status()).subject, (await person.status()).subject);
    const refused = async (change: SessionOptions, ...words: string[]) =>
      await rejectsWith("provider_refused", () => createSession({ ...job, ...change }), ...words);
    await refused({ audience: "nowhere" }, "Audience not found", "Check audience");
    await refused({ scope: "nothing" }, "Invalid scopes", "check audience", "scope");
    await refused({ clientSecret: "a-wrong-secret" }, clientId, "clientSecret");
    await refused(
      { clientId: "client-secret", clientSecret: SECRET },
      "tokens of client-hub allowed",
    );
    const { clientSecret: _1, ...open } = job;
    const run = () => createSession({ ...open, clientId: "client-hub" });
    await rejectsWith("provider_refused", run, "may have to prove itself");
    await provider.admin("POST", `${provider.user}/logout`);
    const force = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("provider_refused", force, "Invalid token", subjectTokenFile, "at the hub");
  },

  async "realm that requires HTTPS"(kind, provider) {
    await using world = await MatrixWorld.make(kind, provider);
    assert(provider instanceof KeycloakRealm);
    await provider.admin("PUT", "", { sslRequired: "all" });
    const start = () => createSession(world.options);
    await isTold(world, "The realm requires HTTPS", start)
      .finally(() => provider.admin("PUT", "", { sslRequired: "none" }));
  },
};

function fails(
  fault: Fault,
  client: KeycloakClientKind,
  start: (world: MatrixWorld) => Promise<unknown>,
): Row {
  return async (kind, provider) => {
    await using world = await MatrixWorld.make(kind, provider, { clientId: `client-${client}` });
    await isTold(world, fault, () => start(world));
  };
}
