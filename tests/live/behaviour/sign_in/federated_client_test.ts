/** A client whose assertions a cluster makes, at a Keycloak that trusts the cluster's keys. */
import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createSession, MemoryCredentialsBackend } from "../../../../mod.ts";
import { readClaims } from "../../../../client/entry.ts";
import { AssertionIssuer } from "../../../support/client_world.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
import { startKeycloak } from "../../../support/servers/keycloak_server.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";
import { tempDir } from "../../../support/temp_home.ts";

const { test, shared, afterAll } = await liveTests("keycloak");

const REALM = "federated";
/** The issuer and the subject of a service account's token, as Kubernetes writes them. */
const CLUSTER = "https://kubernetes.default.svc.cluster.local";
const SUBJECT = "system:serviceaccount:jobs:validate";

/** A realm that takes the tokens of one service account for a client of its own. */
async function federatedRealm() {
  await using stack = new AsyncDisposableStack();
  const cluster = await AssertionIssuer.make();
  const keys = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => Response.json({ keys: [cluster.key.publicJwk] }),
  );
  stack.defer(() => keys.shutdown());
  const server = stack.use(await startKeycloak());
  const { path } = stack.use(await tempDir());
  await server.admin("POST", "", {
    realm: REALM,
    enabled: true,
    sslRequired: "none",
    identityProviders: [{
      alias: "cluster",
      providerId: "oidc",
      enabled: true,
      hideOnLogin: true,
      config: {
        issuer: CLUSTER,
        clientId: "unused",
        clientSecret: "unused",
        authorizationUrl: "https://unused.example.com/",
        tokenUrl: "https://unused.example.com/",
        useJwksUrl: "true",
        validateSignature: "true",
        jwksUrl: `http://127.0.0.1:${keys.addr.port}/`,
        supportsClientAssertions: "true",
      },
    }],
    clients: [{
      clientId: "job",
      publicClient: false,
      serviceAccountsEnabled: true,
      clientAuthenticatorType: "federated-jwt",
      attributes: { "jwt.credential.issuer": "cluster", "jwt.credential.sub": SUBJECT },
    }],
  });
  const issuer = `http://127.0.0.1:${server.port}/realms/${REALM}`;
  const file = `${path}/token`;
  const started = stack.move();
  return {
    /** Replaces the file, as the cluster does it. */
    async renew(claims: Record<string, unknown> = {}): Promise<void> {
      const all = { iss: CLUSTER, sub: SUBJECT, ...claims };
      const token = await cluster.assertion(issuer, "job", all);
      await Deno.writeTextFile(`${file}.new`, `${token}\n`, { mode: 0o600 });
      await Deno.rename(`${file}.new`, file);
    },
    options: {
      issuer,
      clientId: "job",
      flow: "client_credentials",
      clientAssertionFile: file,
    } as const,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

const it = await shared(federatedRealm);
afterAll(() => it[Symbol.asyncDispose]());

test("federated client: Keycloak takes a cluster's tokens, and the file is read anew each time", async () => {
  await it.renew();
  const credentialsBackend = new MemoryCredentialsBackend();
  await using session = await createSession({ ...it.options, credentialsBackend });
  const first = await session.accessToken();
  assertEquals(readClaims(first)?.azp, "job");
  // Keycloak takes each assertion once: a second use of the first one is refused.
  const renew = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("provider_refused", renew, "clientAssertionFile");
  await it.renew();
  assertNotEquals(await renew(), first);
});

test("federated client: a token of another service account or issuer is refused, and named", async () => {
  const start = async () =>
    await createSession({ ...it.options, credentialsBackend: new MemoryCredentialsBackend() });
  const other = "system:serviceaccount:jobs:other";
  await it.renew({ sub: other });
  assertStringIncludes((await rejectsWith("provider_refused", start)).message, other);
  await it.renew({ iss: "https://evil.example.com" });
  const { message } = await rejectsWith("provider_refused", start);
  assertStringIncludes(message, "https://evil.example.com");
  await it.renew();
  await (await start()).close();
});
