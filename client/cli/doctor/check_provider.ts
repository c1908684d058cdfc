import { parseHttpDate } from "../../../backends/common/printable.ts";
import { requiredPermissions } from "../../init.ts";
import { clientAuthFromEnv, type OidcIdentity } from "../../options/resolve_identity.ts";
import { preflight } from "../../permissions/preflight.ts";
import type { SessionOptions } from "../../session_options.ts";
import type { FlagValues } from "../flags.ts";
import { formatLength } from "../status_text.ts";
import { fail, failedBy, type Finding, ok, skipped, warning } from "./finding.ts";

/** The tolerance of oauth4webapi for the times in an ID token. */
const SKEW_WARNING_MS = 30_000;
const SKEW_FAILURE_MS = 5 * 60_000;
type Metadata = Record<string, unknown>;

/** The last answer of discovery. */
interface Seen {
  metadata: Metadata;
  /** Milliseconds by which the provider's clock is ahead of this one. */
  skewMs?: number | undefined;
}

/** Reads the provider's discovery document, and checks the parts that a sign-in uses. */
export async function checkProvider(
  flags: FlagValues,
  identity: OidcIdentity,
  options: SessionOptions,
): Promise<Finding[]> {
  const seen: Seen = { metadata: {} };
  const findings: Finding[] = [];
  try {
    const about = { call: "createSession", discover: true } as const;
    const needs = await requiredPermissions({ ...options, fetch: watched(seen) }, about);
    findings.push(ok("discovery", `${identity.issuer} answers correctly`));
    findings.push(...checkMetadata(seen.metadata, identity));
    await preflight("use the provider's hosts", needs, "sign_in");
  } catch (error) {
    findings.push(failedBy(findings.length === 0 ? "discovery" : "permissions", error, flags));
  }
  return [...findings, clock(seen.skewMs)];
}

function watched(seen: Seen): typeof globalThis.fetch {
  return async (input, init) => {
    const before = Date.now();
    const response = await fetch(input, init);
    const { headers } = response;
    // The header counts whole seconds, and a cache adds the age of its answer.
    const time = parseHttpDate(headers.get("date")) + 500 + Number(headers.get("age")) * 1000;
    const skewMs = time - (before + Date.now()) / 2;
    seen.skewMs = Number.isNaN(skewMs) ? undefined : skewMs;
    seen.metadata = await response.clone().json().catch(() => ({}));
    return response;
  };
}

function checkMetadata(metadata: Metadata, identity: OidcIdentity): Finding[] {
  const { flow } = identity;
  const findings = [checkFlow(metadata, flow)];
  if (flow === "client_credentials" && Object.keys(clientAuthFromEnv(identity)).length === 0) {
    const advice = "Set VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE or " +
      "VM_OIDC_CLIENT_ASSERTION_FILE beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID.";
    findings.push(fail("client", "the client has nothing to prove itself by", advice));
  }
  return findings;
}

/** Whether the provider offers the wanted flow, as far as it tells. Of a person's two either will do. */
function checkFlow(metadata: Metadata, flow: OidcIdentity["flow"]): Finding {
  const offers = {
    device: metadata.device_authorization_endpoint !== undefined,
    browser: metadata.authorization_endpoint !== undefined &&
      !lacks(metadata.response_types_supported, "code") &&
      !lacks(metadata.code_challenge_methods_supported, "S256"),
    client_credentials: !lacks(metadata.grant_types_supported, "client_credentials"),
  };
  const isServed = flow === undefined ? offers.device || offers.browser : offers[flow];
  const names = Object.entries(offers).flatMap(([name, isOffered]) => isOffered ? [name] : []);
  const words = `the provider offers ${names.join(", ") || "none"}`;
  if (isServed) return ok("flow", `${words}; login shows whether this client may use it`);
  const message = `${words}, and not ${flow ?? "device or browser, with PKCE (S256)"}`;
  return fail("flow", message, "Have it enabled there, or choose another --flow.");
}

/** Whether a list that the provider states is without a name. */
function lacks(list: unknown, name: string): boolean {
  return Array.isArray(list) && !list.includes(name);
}

/** The clock of this computer beside the provider's, where that is known. */
function clock(skewMs: number | undefined): Finding {
  const check = "clock";
  if (skewMs === undefined) {
    return skipped(check, "the provider does not tell the time");
  }
  const off = Math.abs(skewMs);
  if (off <= SKEW_WARNING_MS) return ok(check, "within 30 s of the provider's");
  const direction = skewMs > 0 ? "behind" : "ahead of";
  const message = `this computer's clock is ${formatLength(off)} ${direction} the provider's`;
  const advice =
    "Set it by a time server. A wrong clock makes ID tokens fail and tokens end at the wrong time.";
  return off > SKEW_FAILURE_MS ? fail(check, message, advice) : warning(check, message, advice);
}
