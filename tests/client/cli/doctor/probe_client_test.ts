import { assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "../../../../backends/common/promises.ts";
import type { Finding } from "../../../../client/cli/doctor/finding.ts";
import { probeClient } from "../../../../client/cli/doctor/probe_client.ts";
import type { OidcIdentity } from "../../../../client/options/identity.ts";
import { CLIENT_SECRET, withClient } from "../../../support/client_world.ts";
import {
  type OidcProviderOptions,
  startOidcProvider,
  type TestOidcProvider,
} from "../../../support/oidc_provider.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { oauthError, startScriptedProvider } from "../../../support/scripted_provider.ts";

const RUNTIME = { fetch, now: Date.now, elapsed: Date.now, delay, timeoutMs: 5000 };
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

async function probe(
  provider: { issuer: string; clientId: string },
  identity: Partial<OidcIdentity> = {},
): Promise<Finding[]> {
  using _ = new OwnEnv();
  const { issuer, clientId } = provider;
  const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
  return await probeClient(await answer.json(), {
    kind: "oidc",
    issuer,
    clientId,
    scope: "openid offline_access",
    ...identity,
  }, RUNTIME);
}

function paths({ requests }: TestOidcProvider): string[] {
  return requests.map(({ path }) => path).filter((path) => !path.startsWith("/.well-known"));
}

function withGrants(...grants: string[]): OidcProviderOptions {
  return {
    configure: (config) => {
      Object.assign(config.clients![0]!, {
        grant_types: grants,
        ...(!grants.includes("authorization_code") && { response_types: [], redirect_uris: [] }),
      });
    },
  };
}

Deno.test("probeClient: a good client gets a code, is polled once, and no more", async () => {
  await using provider = await startOidcProvider();
  const found = await probe(provider);
  assertEquals(found.map(({ check, result }) => [check, result]), [["client", "ok"]]);
  assertEquals(paths(provider), ["/device/auth", "/token"]);
});

const BAD: [
  name: string,
  options: OidcProviderOptions,
  identity: Partial<OidcIdentity>,
  words: string[],
][] = [
  ["an unknown client", {}, { clientId: "nobody" }, [
    "invalid_client",
    "Check clientId (VM_OIDC_CLIENT_ID)",
  ]],
  [
    "an unknown client in the browser flow",
    {},
    { clientId: "nobody", flow: "browser" },
    ["invalid_client", "Check clientId (VM_OIDC_CLIENT_ID)"],
  ],
  [
    "a client without its secret",
    withClient(),
    {},
    ["invalid_client", "its secret (clientSecret, VM_OIDC_CLIENT_SECRET)"],
  ],
  [
    "a client with another's secret",
    withClient(),
    { clientSecret: "another" },
    ["invalid_client", "clientSecret (VM_OIDC_CLIENT_SECRET"],
  ],
  [
    "a client with another's secret in the browser flow",
    withClient(),
    { clientSecret: "another", flow: "browser" },
    ["invalid_client", "clientSecret (VM_OIDC_CLIENT_SECRET"],
  ],
  [
    "a client without the device flow",
    withGrants("authorization_code", "refresh_token"),
    { flow: "device" },
    ["is not allowed for this client", "Enable the device code grant"],
  ],
  [
    "a client without the browser flow",
    withGrants(DEVICE, "refresh_token"),
    { flow: "browser" },
    ["is not allowed for this client", "authorization code grant"],
  ],
  [
    "a client that may not sign in itself",
    withClient({ grants: [DEVICE] }),
    { flow: "client_credentials", clientSecret: CLIENT_SECRET, scope: "" },
    ["Enable the client credentials grant"],
  ],
];

for (const [name, options, identity, words] of BAD) {
  Deno.test(`probeClient: ${name} is a fail that says so`, async () => {
    await using provider = await startOidcProvider(options);
    const found = await probe(provider, identity);
    assertEquals(found.map(({ check, result }) => [check, result]), [["client", "fail"]]);
    for (const word of words) assertStringIncludes(found[0]!.message, word);
  });
}

Deno.test("probeClient: a disabled client is a fail that says so", async () => {
  await using provider = await startScriptedProvider();
  provider.script.device.push(() =>
    Response.json(
      { error: "unauthorized_client", error_description: "Client is disabled" },
      { status: 400 },
    )
  );
  const [found] = await probe(provider);
  assertStringIncludes(found!.message, "Have the client enabled at the provider");
});

Deno.test("probeClient: a client that only the token endpoint refuses is a fail", async () => {
  await using provider = await startScriptedProvider();
  provider.script.token.push(() => oauthError("invalid_client", 401));
  const [found] = await probe(provider);
  assertEquals(found?.result, "fail");
});

Deno.test("probeClient: without the device flow the browser's is tried", async () => {
  await using provider = await startScriptedProvider();
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  provider.script.device.push(() => oauthError("unauthorized_client"));
  provider.script.token.push(() => oauthError("invalid_grant"));
  const found = await probe(provider);
  assertEquals(found.map(({ result }) => result), ["warning", "ok"]);
  assertStringIncludes(found[0]!.message, "unauthorized_client");
});

Deno.test("probeClient: a provider that wants its requests pushed gets one", async () => {
  await using provider = await startOidcProvider({
    configure: (config) => {
      const pushed = { enabled: true, requirePushedAuthorizationRequests: true };
      Object.assign(config.features!, { pushedAuthorizationRequests: pushed });
    },
  });
  const found = await probe(provider, { flow: "browser" });
  assertEquals(found.map(({ result }) => result), ["ok"], found[0]?.message);
  assertEquals(paths(provider), ["/request", "/token"]);
});

Deno.test("probeClient: the token of a client itself is revoked", async () => {
  await using provider = await startOidcProvider(withClient());
  const identity = { flow: "client_credentials", clientSecret: CLIENT_SECRET, scope: "" } as const;
  const found = await probe(provider, identity);
  assertEquals(found.map(({ result }) => result), ["ok"], found[0]?.message);
  assertStringIncludes(found[0]!.message, "was revoked");
  assertEquals(paths(provider), ["/token", "/token/revocation"]);
});

Deno.test("probeClient: tokens of a code that is approved at once are revoked", async () => {
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  assertEquals((await probe(provider)).map(({ result }) => result), ["ok"]);
  const last = provider.requests.at(-1)!;
  assertEquals([last.path, last.form.token_type_hint], ["/revoke", "refresh_token"]);
});
