import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkProvider } from "../../../../client/cli/doctor/check_provider.ts";
import type { Finding } from "../../../../client/cli/doctor/finding.ts";
import {
  type ScriptedProvider,
  startScriptedProvider,
} from "../../../support/scripted_provider.ts";
import { startOidcProvider } from "../../../support/oidc_provider.ts";
import { delay } from "../../../../backends/common/promises.ts";

const RUNTIME = { fetch, now: Date.now, elapsed: Date.now, delay, timeoutMs: 5000 };

async function check(issuer: string, runtime = RUNTIME): Promise<Finding[]> {
  const scope = "openid offline_access";
  return await checkProvider({ kind: "oidc", issuer, clientId: "app", scope }, runtime);
}

function results(findings: readonly Finding[]): string[] {
  return findings.map(({ check, result }) => `${check}: ${result}`);
}

Deno.test("checkProvider: a real provider is fine", async () => {
  await using provider = await startOidcProvider();
  assertEquals(results(await check(provider.issuer)), [
    "discovery: ok",
    "device flow: ok",
    "browser flow: ok",
    "clock: ok",
  ]);
  assertEquals(provider.requests.map(({ path }) => path), ["/.well-known/openid-configuration"]);
});

for (
  const [name, discovery, expected, words] of [
    [
      "no device flow",
      { device_authorization_endpoint: undefined },
      "device flow: fail",
      "the provider offers none",
    ],
    ["no keys", { jwks_uri: undefined }, "endpoints: fail", "has no jwks_uri"],
    [
      "no device grant",
      { grant_types_supported: ["authorization_code"] },
      "device flow: warning",
      "not among the provider's grant types",
    ],
    [
      "no offline_access",
      { scopes_supported: ["openid"] },
      "refresh: warning",
      "does not list the scope offline_access",
    ],
    ["no revocation", { revocation_endpoint: undefined }, "revocation: warning", "no revocation"],
    ["another issuer", { issuer: "https://b.example" }, "discovery: fail", "names another issuer"],
  ] as const
) {
  Deno.test(`checkProvider: ${name}`, async () => {
    await using provider = await startScriptedProvider({ discovery });
    const findings = await check(provider.issuer);
    const found = findings.find(({ result }) => result === "fail" || result === "warning")!;
    assertEquals(results([found]), [expected]);
    assertStringIncludes(found.message, words);
    assertEquals(results(findings).at(-1), "clock: ok");
  });
}

Deno.test("checkProvider: nobody answers", async () => {
  const findings = await check("http://127.0.0.1:1");
  assertEquals(results(findings), ["discovery: fail", "device flow: skipped", "clock: skipped"]);
  assertStringIncludes(findings[0]!.message, "Cannot reach http://127.0.0.1:1/");
  assertEquals(findings.at(-1)!.message, "the provider did not answer");
});

async function clockOf(provider: ScriptedProvider, headers: Record<string, string>) {
  provider.script.discovery.push(async () => {
    const answer = await fetch(`${provider.issuer}/.well-known/openid-configuration`);
    return new Response(answer.body, {
      headers: { "content-type": "application/json", ...headers },
    });
  });
  const now = () => Date.parse("2026-11-25T12:00:00Z");
  return (await check(provider.issuer, { ...RUNTIME, now })).at(-1)!;
}

for (
  const [name, headers, result, words] of [
    ["29 s ahead", { date: "Wed, 25 Nov 2026 12:00:29 GMT" }, "ok", "within 30 s"],
    ["a minute ahead", { date: "Wed, 25 Nov 2026 12:01:00 GMT" }, "warning", "1 min behind"],
    ["2 hours behind", { date: "Wed, 25 Nov 2026 10:00:00 GMT" }, "fail", "2 h ahead of"],
    [
      "as old as the cache that answered",
      { date: "Wed, 25 Nov 2026 11:00:00 GMT", age: "3600" },
      "ok",
      "within 30 s",
    ],
    ["not told", { date: "" }, "skipped", "--refresh"],
  ] as const
) {
  Deno.test(`checkProvider: the provider's clock is ${name}`, async () => {
    await using provider = await startScriptedProvider();
    const found = await clockOf(provider, headers);
    assertEquals([found.check, found.result], ["clock", result], found.message);
    assertStringIncludes(found.message, words);
  });
}
