import type { EnvReader } from "../../backends/common/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import type { BearerKind, SessionOptions, SignInFlow } from "../session_options.ts";
import type { Runtime } from "./runtime.ts";

/** Loaded where something waits. */
const loadDelay = () => import("../../backends/common/delay.ts");

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

/**
 * The variables that a plain start finds unset, or may not read: each changes something that only
 * `resolveOptions` knows. The variables of the backend's choice are not among them.
 */
export const UNUSUAL_VARIABLES: readonly string[] = [
  "VM_API_KEY",
  "VM_API_SECRET",
  "VM_API_HOST",
  "VM_API_URL",
  "VM_API_TIMEOUT",
  "VM_OIDC_AUDIENCE",
  "VM_OIDC_FLOW",
  "VM_OIDC_INTERACTIVE",
  "VM_OIDC_PROFILE",
  "VM_OIDC_SCOPE",
];

/** An `https:` URL of host, port and path alone. */
const PLAIN_URL = /^https:\/\/[^\s?#@\\|]+$/;

/** The options of a plain start with their defaults. */
export interface PlainOptions {
  readonly identity: OidcIdentity;
  readonly interactive: boolean;
  readonly runtime: Runtime;
}

/**
 * The result of `resolveOptions` for options that name an issuer and a client and nothing else, which
 * most starts have. `undefined` where anything is unusual or wrong: then `prepareSession` checks all
 * options, and knows the messages. A start from a stored token runs no more than this.
 *
 * @param readEnv Gives a variable's text.
 */
export function plainOptions(
  options: SessionOptions,
  readEnv: EnvReader,
): PlainOptions | undefined {
  if (options?.constructor !== Object) return undefined;
  for (const name in options) if (name !== "issuer" && name !== "clientId") return undefined;
  for (const name of UNUSUAL_VARIABLES) if (readEnv(name)) return undefined;
  const { issuer = readEnv("VM_OIDC_ISSUER"), clientId = readEnv("VM_OIDC_CLIENT_ID") } = options;
  if (typeof issuer !== "string" || typeof clientId !== "string") return undefined;
  const url = normalizeIssuer(issuer);
  const client = normalizeClientId(clientId);
  const isPlain = PLAIN_URL.test(url) && URL.canParse(url) && client !== "" &&
    !client.includes("|");
  if (!isPlain) return undefined;
  return {
    identity: { kind: "oidc", issuer: url, clientId: client, scope: DEFAULT_SCOPE },
    interactive: true,
    runtime: {
      fetch: globalThis.fetch,
      now: Date.now,
      elapsed: () => performance.now(),
      delay: async (ms, signal) => await (await loadDelay()).delay(ms, signal),
      timeoutMs: 30_000,
    },
  };
}
