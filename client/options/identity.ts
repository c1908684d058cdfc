import type { SignInFlow } from "../session_options.ts";

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
