import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkFlows } from "../../../../client/cli/doctor/check_flows.ts";
import type { OidcIdentity } from "../../../../client/options/identity.ts";

const IDENTITY: OidcIdentity = {
  kind: "oidc",
  issuer: "https://login.example.com",
  clientId: "app",
  scope: "openid",
};
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const DEVICE = { device_authorization_endpoint: "https://login.example.com/device" };
const BROWSER = { authorization_endpoint: "https://login.example.com/authorize" };

const ROWS: [what: string, metadata: object, flow: OidcIdentity["flow"], rows: string[]][] = [
  ["both flows", { ...DEVICE, ...BROWSER }, undefined, ["device flow: ok", "browser flow: ok"]],
  [
    "a client that may sign in itself",
    { ...DEVICE, grant_types_supported: [DEVICE_GRANT, "client_credentials"] },
    undefined,
    ["device flow: ok", "client flow: ok"],
  ],
  ["the device flow alone", DEVICE, undefined, ["device flow: ok"]],
  ["the browser alone", BROWSER, undefined, ["device flow: warning", "browser flow: ok"]],
  ["neither", {}, undefined, ["device flow: fail"]],
  ["the browser as it was chosen", { ...DEVICE, ...BROWSER }, "browser", ["browser flow: ok"]],
  ["no browser where it was chosen", DEVICE, "browser", ["browser flow: fail"]],
  ["no device flow where it was chosen", BROWSER, "device", ["device flow: fail"]],
  [
    "a browser without PKCE",
    { ...BROWSER, code_challenge_methods_supported: ["plain"] },
    "browser",
    ["browser flow: fail"],
  ],
];

for (const [what, metadata, flow, rows] of ROWS) {
  Deno.test(`checkFlows: ${what}`, async () => {
    const identity = { ...IDENTITY, ...(flow && { flow }) };
    const found = await checkFlows({ ...metadata }, identity);
    assertEquals(found.map(({ check, result }) => `${check}: ${result}`), rows);
  });
}

Deno.test({
  name: "checkFlows: a machine that may not listen is told how it may",
  permissions: { net: false, env: false, run: false },
  fn: async () => {
    const [found] = await checkFlows(BROWSER, { ...IDENTITY, flow: "browser" });
    assertEquals(found!.result, "warning");
    assertStringIncludes(found!.advice!, "--allow-net=127.0.0.1:0");
  },
});
