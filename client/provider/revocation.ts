import * as oauth from "oauth4webapi";
import { REVOCATION } from "./answer.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { requestOptions } from "./request_context.ts";

/**
 * Revokes a token: RFC 7009.
 *
 * @returns `false` where the provider has no revocation endpoint.
 */
export async function revokeToken(
  provider: OidcProvider,
  token: string,
  hint: "refresh_token" | "access_token",
): Promise<boolean> {
  return await provider.use("revoke the sign-in", undefined, async (context) => {
    const { server, client, auth } = context;
    if (server.revocation_endpoint === undefined) return false;
    const response = await oauth.revocationRequest(server, client, auth, token, {
      ...requestOptions(REVOCATION, context),
      additionalParameters: { token_type_hint: hint },
    });
    await oauth.processRevocationResponse(response);
    return true;
  });
}
