import type { BearerKind, SignInFlow } from "../session_options.ts";

/** The options by which a client proves who it is, one at most. */
export interface ClientAuthOptions {
  clientSecret?: string;
  clientKeyFile?: string;
  clientAssertionFile?: string;
}

/** A sign-in at an OpenID Provider. The variables of `ClientAuthOptions` are read by the provider. */
export interface OidcIdentity extends ClientAuthOptions {
  kind: "oidc";
  issuer: string;
  clientId: string;
  audience?: string;
  profile?: string;
  /** Empty where none is asked for. */
  scope: string;
  /** Absent for `auto`. */
  flow?: Exclude<SignInFlow, "auto">;
  /** Whether tokens are bound to a key. */
  dpop?: boolean;
}

/** The credentials of a session: a sign-in, or an API key. */
export type Identity = OidcIdentity | { kind: "api_key"; apiKey: string; apiSecret: string };

/** The scope that is requested by default. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

const ENTRA_HOSTS = [
  "login.microsoftonline.com",
  "login.microsoftonline.us",
  "login.partner.microsoftonline.cn",
];

/** The token that is the bearer for an issuer. */
export function bearerKind(
  bearer: BearerKind,
  issuer: string,
  flow?: SignInFlow,
): "access_token" | "id_token" {
  if (bearer !== "auto") return bearer;
  return flow !== "client_credentials" && isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer belongs to Microsoft Entra, in the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  // Every start asks. The pattern spares most issuers the URL object, which costs more.
  return /microsoftonline/i.test(issuer) && ENTRA_HOSTS.includes(new URL(issuer).hostname);
}
