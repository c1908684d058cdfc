import * as oauth from "oauth4webapi";

/**
 * How the client says who it is: RFC 6749, section 2.3. With a secret by the form where the provider
 * takes that, which leaves no doubt about the encoding; else by the header.
 */
export function clientAuth(
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  clientSecret?: string,
): oauth.ClientAuth {
  if (clientSecret === undefined) return oauth.None();
  // A provider that does not say takes the header: OpenID Connect Discovery, section 3.
  return methods?.includes("client_secret_post")
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret);
}
