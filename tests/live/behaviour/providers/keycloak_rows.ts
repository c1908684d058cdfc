import { assert } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { AssertionIssuer } from "../../../support/client_world.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { KeycloakRealm } from "./keycloak.ts";
import type { KeycloakClientKind } from "./keycloak_realm.ts";
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
