import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { bearerKind } from "../../../client/entry.ts";
import { secureUrl } from "../../../client/options/resolve_identity.ts";

for (
  const url of [
    "https://login.example.com/",
    "http://localhost:5000/",
    "http://127.0.0.1/",
    "http://127.8.9.10:1/",
    "http://[::1]:8080/",
  ]
) {
  Deno.test(`secureUrl: ${url} is taken`, () => assertEquals(secureUrl(url, "x").href, url));
}

for (
  const url of [
    "http://login.example.com/",
    "http://localhost.example.com/",
    "http://127.0.0.1.example.com/",
    "http://notlocalhost/",
    "http://app.localhost/",
    "http://192.168.0.1/",
    "http://0.0.0.0/",
    "http://[::2]/",
    "http://localhost@example.com/",
  ]
) {
  Deno.test(`secureUrl: ${url} is insecure`, () => {
    const error = assertThrows(() => secureUrl(url, "call"), ValidMindAuthError);
    assertEquals(error.code, "insecure_url");
    assertStringIncludes(error.message, `Cannot call is ${new URL(url).origin}, which`);
  });
}

for (const text of ["", "login.example.com", "javascript:alert(1)", "ftp://localhost/", "https:"]) {
  Deno.test(`secureUrl: ${JSON.stringify(text)} is no http(s) URL`, () => {
    const error = assertThrows(() => secureUrl(text, "call"), ValidMindAuthError);
    assertEquals(error.code, "invalid_options");
    assertStringIncludes(error.message, "Cannot call is not an http(s) URL.");
  });
}

const KINDS: [issuer: string, kind: "access_token" | "id_token"][] = [
  ["https://login.microsoftonline.com/common/v2.0", "id_token"],
  ["https://login.microsoftonline.us/tenant/v2.0", "id_token"],
  ["https://login.partner.microsoftonline.cn/tenant/v2.0", "id_token"],
  ["https://LOGIN.microsoftonline.com/tenant/v2.0", "id_token"],
  ["https://login.microsoftonline.com.example.com/", "access_token"],
  ["https://example.com/login.microsoftonline.com", "access_token"],
  ["https://acme.auth0.com", "access_token"],
];

for (const [issuer, kind] of KINDS) {
  Deno.test(`bearerKind: ${issuer} uses the ${kind}`, () => {
    assertEquals(bearerKind("auto", issuer), kind);
  });
}

Deno.test("bearerKind: an explicit choice wins", () => {
  assertEquals(bearerKind("access_token", KINDS[0]![0]), "access_token");
  assertEquals(bearerKind("id_token", "https://acme.auth0.com"), "id_token");
});

Deno.test("secureUrl: an endless host name is cut in the error", () => {
  const endless = `http://localhost.evil.example${"=".repeat(9000)}`;
  const error = assertThrows(() => secureUrl(endless, "do it: the address"), Error);
  assert(error.message.length < 500, `${error.message.length} characters`);
});
