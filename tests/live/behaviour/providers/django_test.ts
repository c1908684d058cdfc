import { assertEquals } from "@std/assert";
import { DJANGO } from "./django.ts";
import { runMatrix } from "./matrix.ts";
import { lives, row, signsInItself } from "./rows.ts";

await runMatrix(DJANGO, {
  "device flow without an ID token, refresh and sign-out": lives(
    "public",
    (world) => world.options,
    null,
  ),
  "client with its secret, without an ID token": lives("secret", (world) => world.options, null),
  "client_credentials with a secret, of another client": row(
    { clientId: "job", clientSecret: "a-secret-of-the-job" },
    signsInItself,
  ),

  "what the flows have to bear: a form with a charset refused, and RFC 8414 alone": row(
    "public",
    async ({ provider: { issuer } }) => {
      const type = "application/x-www-form-urlencoded";
      const ask = async (contentType: string) => {
        const response = await fetch(`${issuer}/device-authorization/`, {
          method: "POST",
          headers: { "content-type": contentType },
          body: "client_id=public&scope=openid",
        });
        return (await response.json()).error;
      };
      assertEquals(await ask(`${type};charset=UTF-8`), "invalid_request");
      assertEquals(await ask(type), undefined);
      const endpointIn = async (document: string) => {
        const response = await fetch(`${issuer}/.well-known/${document}`);
        return typeof (await response.json()).revocation_endpoint;
      };
      assertEquals(await endpointIn("openid-configuration"), "undefined");
      assertEquals(await endpointIn("oauth-authorization-server"), "string");
    },
  ),
});
