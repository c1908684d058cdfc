import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { checkEndpoint } from "../../../client/provider/discovery.ts";
import { createSession } from "../../../client/create_session.ts";
import { ValidMindAuthError, type ValidMindAuthErrorCode } from "../../../client/errors.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const ISSUER = "https://login.example.com";
const LOCAL = "http://127.0.0.1:8080";
const NAMES = ["device_authorization_endpoint", "token_endpoint", "jwks_uri"];

const GOOD: [issuer: string, url: unknown][] = [
  [ISSUER, "https://login.example.com/x"],
  [ISSUER, "https://other.example.com:8443/x?tenant=a"],
  [LOCAL, "http://127.0.0.1:8080/x"],
  [LOCAL, "http://localhost:9090/x"],
  [LOCAL, "https://login.example.com/x"],
];

const BAD: [issuer: string, url: unknown, code: ValidMindAuthErrorCode][] = [
  [ISSUER, "http://login.example.com/x", "insecure_url"],
  [ISSUER, "http://127.0.0.1/x", "insecure_url"],
  [ISSUER, "http://localhost:8080/x", "insecure_url"],
  [LOCAL, "http://login.example.com/x", "insecure_url"],
  [ISSUER, "javascript:alert(1)", "provider_invalid"],
  [ISSUER, "file:///etc/passwd", "provider_invalid"],
  [ISSUER, "data:application/json,{}", "provider_invalid"],
  [ISSUER, "/token", "provider_invalid"],
  [ISSUER, "", "provider_invalid"],
  [ISSUER, 5, "provider_invalid"],
  [ISSUER, ["https://login.example.com/x"], "provider_invalid"],
  [ISSUER, "https://user:pass@login.example.com/x", "provider_invalid"],
];

Deno.test("checkEndpoint: https, and on loopback http for an issuer that is there", () => {
  for (const name of NAMES) {
    for (const [issuer, url] of GOOD) checkEndpoint(name, url, issuer);
    for (const [issuer, url, code] of BAD) {
      const error = assertThrows(() => checkEndpoint(name, url, issuer), ValidMindAuthError);
      assertEquals(error.code, code);
      for (const word of [issuer, name, "Cannot use"]) assertStringIncludes(error.message, word);
    }
  }
});

/** The issuer in a document at the place of RFC 8414, which the root of the host answers for. */
const ELSEWHERE: [what: string, stated: (issuer: string) => string, isTaken: boolean][] = [
  ["its own issuer", (issuer) => issuer, true],
  ["another tenant's issuer", (issuer) => issuer.replace("acme", "evil"), false],
  ["the host as the issuer", (issuer) => new URL(issuer).origin, false],
  ["the issuer with a slash", (issuer) => `${issuer}/`, false],
];

for (const [what, stated, isTaken] of ELSEWHERE) {
  Deno.test(`discovery at the place of RFC 8414, with ${what}: ${isTaken ? "taken" : "refused"}`, async () => {
    await using world = await scriptedProviderWorld({ path: "/realms/acme" });
    const { provider } = world;
    provider.discovery = { issuer: stated(provider.issuer) };
    const place = "/.well-known/oauth-authorization-server/realms/acme";
    const places: string[] = [];
    const fetchThere = (input: string | URL | Request, init?: RequestInit) => {
      const url = new URL(String(input));
      if (!url.pathname.includes("/.well-known/")) return fetch(input, init);
      places.push(url.pathname);
      const document = `${provider.issuer}/.well-known/openid-configuration`;
      if (url.pathname === place) return fetch(document, init);
      return Promise.resolve(new Response(null, { status: 404 }));
    };
    const run = () => createSession({ ...world.options, fetch: fetchThere });
    if (isTaken) await (await run()).close();
    else await rejectsWith("provider_invalid", run, "names another issuer");
    assertEquals(places, ["/realms/acme/.well-known/openid-configuration", place]);
  });
}
