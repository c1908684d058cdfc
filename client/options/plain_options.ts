import { delay } from "../../backends/common/delay.ts";
import type { EnvReader } from "../../backends/common/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import type { SessionOptions } from "../session_options.ts";
import { DEFAULT_SCOPE } from "./identity.ts";
import type { ResolvedOptions } from "./resolve_options.ts";

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
): ResolvedOptions | undefined {
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
      delay,
      timeoutMs: 30_000,
    },
  };
}
