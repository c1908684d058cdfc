import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { checkEndpoints } from "../../../client/provider/discovery.ts";
import { ValidMindAuthError, type ValidMindAuthErrorCode } from "../../../client/errors.ts";

const ISSUER = "https://login.example.com";
const LOCAL = "http://127.0.0.1:8080";
const NAMES = ["device_authorization_endpoint", "token_endpoint", "jwks_uri"];

const GOOD: [issuer: string, url: unknown][] = [
  [ISSUER, "https://login.example.com/x"],
  [ISSUER, "https://other.example.com:8443/x?tenant=a"],
  [ISSUER, undefined],
  [LOCAL, "http://127.0.0.1:8080/x"],
  [LOCAL, "http://localhost:9090/x"],
  [LOCAL, "https://login.example.com/x"],
];

for (const [issuer, url] of GOOD) {
  Deno.test(`checkEndpoints: ${issuer} may name ${url}`, () => {
    for (const name of NAMES) checkEndpoints({ [name]: url }, issuer);
  });
}

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

for (const [issuer, url, code] of BAD) {
  Deno.test(`checkEndpoints: ${issuer} may not name ${JSON.stringify(url)}: ${code}`, () => {
    for (const name of NAMES) {
      const error = assertThrows(() => checkEndpoints({ [name]: url }, issuer), ValidMindAuthError);
      assertEquals(error.code, code);
      for (const word of [issuer, name, "Cannot use"]) assertStringIncludes(error.message, word);
    }
  });
}
