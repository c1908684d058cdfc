import type { SignInFlow } from "../session_options.ts";

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
