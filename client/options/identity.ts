import type { BearerKind, SignInFlow } from "../session_options.ts";

/** A person's sign-in at an OpenID Provider. */
export interface OidcIdentity {
  kind: "oidc";
  issuer: string;
  clientId: string;
  /** The value of the option. Its variable is read where the provider is needed. */
  clientSecret?: string;
  audience?: string;
  profile?: string;
  scope: string;
  /** Absent for `auto`. */
  flow?: Exclude<SignInFlow, "auto">;
  /** Whether tokens are bound to a key. */
  dpop?: boolean;
}

/** The credentials of a session: a person's sign-in, or an API key. */
export type Identity = OidcIdentity | { kind: "api_key"; apiKey: string; apiSecret: string };

/** The scope that is requested by default. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

const ENTRA_HOSTS = [
  "login.microsoftonline.com",
  "login.microsoftonline.us",
  "login.partner.microsoftonline.cn",
];

/** The token that is the bearer for an issuer. */
export function bearerKind(bearer: BearerKind, issuer: string): "access_token" | "id_token" {
  if (bearer !== "auto") return bearer;
  return isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer belongs to Microsoft Entra, in the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  // Every start asks. The pattern spares most issuers the URL object, which costs more.
  return /microsoftonline/i.test(issuer) && ENTRA_HOSTS.includes(new URL(issuer).hostname);
}
