import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSession } from "../../../../client/create_session.ts";
import { readClaims } from "../../../../client/entry/bearer.ts";
import { ApiError } from "../../../../client/errors.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { AssertionIssuer } from "../../../support/client_world.ts";
import { json, startHttpServer } from "../../../support/http_server.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import type { KeycloakRealm } from "./keycloak.ts";
import { audienceOf, SECRET } from "./keycloak_realm.ts";
import { addSteps, followSteps, STEPS_CLIENT } from "./keycloak_steps.ts";
import { endsOver, isRefused, lives, type Row, row } from "./rows.ts";

/** The issuer and the subject of a service account's token, as Kubernetes writes them. */
const CLUSTER = "https://kubernetes.default.svc.cluster.local";
const SUBJECT = "system:serviceaccount:jobs:validate";

const CLUSTERS_CLIENT = {
  clientId: "cluster",
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
  clientId: "hub",
  publicClient: true,
  attributes: {
    "oauth2.device.authorization.grant.enabled": "true",
    "standard.token.exchange.enabled": "true",
  },
  protocolMappers: [audienceOf("exchange")],
};
const EXCHANGING = {
  clientId: "exchange",
  publicClient: false,
  secret: "a-secret-of-notebooks",
  attributes: { "standard.token.exchange.enabled": "true" },
  protocolMappers: [audienceOf("secret")],
};

/** Settings that only Keycloak has. */
export const KEYCLOAK_ROWS: Record<string, Row<KeycloakRealm>> = {
  "client without the flow in the browser": isRefused(
    { clientId: "device" },
    ['flow: "device"'],
    (world) => world.browserOptions,
  ),
  "client that has to push its requests": isRefused(
    { clientId: "pushed" },
    ["RFC 9126"],
    (world) => world.browserOptions,
  ),

  "DPoP with a pushed request, which the provider does not demand": lives("dpop", (world) => ({
    ...world.browserOptions,
    dpop: true,
    async fetch(input, init) {
      const response = await world.fetch(input, init);
      if (!String(input).includes("/.well-known/")) return response;
      const document = await response.json();
      return Response.json({ ...document, require_pushed_authorization_requests: true });
    },
    onAuthorizationUrl({ url }) {
      assertEquals([...new URL(url).searchParams.keys()], ["client_id", "request_uri"]);
      return world.provider.follow(url);
    },
  })),

  "ID token signed by a secret": row({ clientId: "symmetric" }, async (world) => {
    await rejectsWith("id_token_invalid", () => createSession(world.options), "HS256", "RS256");
  }),

  "offline_access not allowed": row("public", async ({ provider, options }) => {
    const roles = `${provider.user}/role-mappings/realm`;
    await provider.admin("DELETE", roles, await provider.admin("GET", roles));
    const start = () => createSession(options);
    await rejectsWith("provider_refused", start, "Leave offline_access out");
    await using session = await createSession({ ...options, scope: "openid email" });
    assert(await provider.isActive(await session.accessToken()));
  }),

  "all tokens of a client ended": row({ clientId: "ended" }, async (world) => {
    const { provider } = world;
    await endsOver(world, async () => {
      const path = "/clients?clientId=ended";
      const [{ id }] = await provider.admin("GET", path) as [{ id: string }];
      const notBefore = Math.ceil(Date.now() / 1000) + 1;
      await provider.admin("PUT", `/clients/${id}`, { notBefore });
    });
  }),

  "client that has to use PKCE": row({ clientId: "pkce" }, async (world) => {
    for (const options of [world.options, { ...world.browserOptions, profile: "browser" }]) {
      await using session = await createSession(options);
      assert(await world.provider.isActive(await session.accessToken()));
    }
  }),

  "client whose assertions a cluster makes": row(CLUSTERS_CLIENT, async (world) => {
    const { provider, client: { clientId } } = world;
    const cluster = await AssertionIssuer.make();
    await using keys = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => Response.json({ keys: [cluster.key.publicJwk] }),
    );
    await provider.admin("POST", "/identity-provider/instances", clusterAt(keys.addr.port));
    await provider.admin("POST", "/clients", CLUSTERS_CLIENT);
    const renew = async (claims: Record<string, unknown> = {}) => {
      const all = { iss: CLUSTER, sub: SUBJECT, ...claims };
      return await world.write(await cluster.assertion(provider.issuer, clientId, all));
    };
    const clientAssertionFile = await renew();
    const job = { ...world.jobOptions, clientAssertionFile };
    await using session = await createSession({ ...job, flow: "client_credentials" });
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
  }),

  "exchange of a person's token": row({ clientId: "hub" }, async (world) => {
    const { provider } = world;
    for (const client of [HUBS_CLIENT, EXCHANGING]) {
      await provider.admin("POST", "/clients", client);
    }
    await using person = await createSession({ ...world.options, scope: "openid" });
    const subjectTokenFile = await world.write(await person.accessToken());
    const { clientId, secret: clientSecret } = EXCHANGING;
    const open = { ...world.jobOptions, subjectTokenFile, flow: "token_exchange" } as const;
    const job = { ...open, clientId, clientSecret };
    await using session = await createSession({ ...job, scope: "openid" });
    assert(await provider.isActive(await session.accessToken()));
    assertEquals((await session.status()).subject, (await person.status()).subject);
    const refused = async (change: SessionOptions, ...words: string[]) =>
      await rejectsWith("provider_refused", () => createSession({ ...job, ...change }), ...words);
    await refused({ audience: "nowhere" }, "Audience not found", "Check audience");
    await refused({ scope: "nothing" }, "Invalid scopes", "check audience", "scope");
    await refused({ clientSecret: "a-wrong-secret" }, clientId, "clientSecret");
    await refused({ clientId: "secret", clientSecret: SECRET }, "Have its exchange allowed");
    await rejectsWith("provider_refused", () => createSession(open), "may have to prove itself");
    await provider.admin("POST", `${provider.user}/logout`);
    const force = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("provider_refused", force, "Invalid token", subjectTokenFile, "at the hub");
  }),

  "level of authentication that an API demands": row({ clientId: STEPS_CLIENT }, async (world) => {
    await addSteps(world.provider);
    await using api = startHttpServer((request) => {
      const { acr } = readClaims(request.headers.get("authorization")!)!;
      const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold"';
      return acr === "gold" ? json({ acr }) : json({}, 401, { "www-authenticate": challenge });
    });
    const passwords: number[] = [];
    const options = {
      ...world.browserOptions,
      apiHost: `${api.origin}/`,
      onAuthorizationUrl: async ({ url }: { url: string }) => {
        passwords.push(await followSteps(url));
      },
    };
    await using session = await createSession(options);
    const error = await assertRejects(() => session.get("thing"), ApiError);
    assertEquals(error.demand, { acrValues: "gold" });
    await session.signIn({ for: error });
    assertEquals(await session.get("thing"), { acr: "gold" });
    assertEquals(passwords, [1, 2]);
    const age = { for: { demand: { maxAge: 0 } } };
    await session.signIn(age);
    // The client's level without a demand: the provider does as it is asked, and no more.
    const before = await world.stored();
    const unknown = () => session.signIn({ for: { demand: { acrValues: "platinum" } } });
    await rejectsWith("demand_unmet", unknown, "platinum");
    assertEquals(await world.stored(), before);

    // Its discovery document states the levels, and its device flow ignores them.
    await using byDevice = await createSession({
      ...world.options,
      profile: "device",
      flow: "device",
      onDeviceCode(code) {
        const done = followSteps(code.verificationUriComplete!);
        world.clock.onDelay = async () => void await done;
      },
    });
    const sign = () => byDevice.signIn({ for: error });
    await rejectsWith("demand_unmet", sign, "acr is silver", 'Set flow: "browser"');
  }),

  "realm that requires HTTPS": row("public", async ({ provider, options }) => {
    await provider.admin("PUT", "", { sslRequired: "all" });
    await rejectsWith("provider_unavailable", () => createSession(options), "HTTPS required")
      .finally(() => provider.admin("PUT", "", { sslRequired: "none" }));
  }),
};
