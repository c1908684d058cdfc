import { isGranted, permissionFlag } from "../../../backends/common/platform.ts";
import { parseHttpDate } from "../../../backends/common/printable.ts";
import { formatLength } from "../format_time.ts";
import { checkFlows } from "./check_flows.ts";
import { fail, failedBy, type Finding, ok, skipped, warning } from "./finding.ts";
import type { BrowserOptions } from "../../options/browser_options.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import type { Runtime } from "../../options/runtime.ts";

/** Loaded where settings, permissions and store allow a look at the provider. */
const loadProvider = () => import("../../provider/oidc_provider.ts");

/** Loaded where the client is tried. */
const loadProbe = () => import("./probe_client.ts");

/** The tolerance of oauth4webapi for the times in an ID token. */
const SKEW_WARNING_MS = 30_000;
const SKEW_FAILURE_MS = 5 * 60_000;

/** Parts of the discovery answer that `OidcProvider` does not give. */
interface Seen {
  metadata?: Record<string, unknown>;
  /** Milliseconds by which the provider's clock is ahead of this one. */
  skewMs?: number | undefined;
  hasAnswer?: boolean;
}

/**
 * Reads the provider's discovery document and checks the parts that a sign-in uses.
 *
 * @param isProbed Whether to try the client at the provider, too.
 * @param browser The place that a browser comes back to.
 */
export async function checkProvider(
  identity: OidcIdentity,
  runtime: Runtime,
  isProbed = false,
  browser: BrowserOptions = {},
): Promise<Finding[]> {
  const seen: Seen = {};
  const { OidcProvider } = await loadProvider();
  try {
    const provider = new OidcProvider(identity, { ...runtime, fetch: spy(runtime, seen) });
    const hosts = checkHosts(await provider.endpointHosts());
    const metadata = seen.metadata ?? {};
    const mayProbe = isProbed && hosts.length === 0;
    const probe = async () =>
      await (await loadProbe()).probeClient(metadata, identity, runtime, browser);
    return [
      ok("discovery", `${identity.issuer} answers correctly`),
      ...hosts,
      ...checkEndpoints(metadata, identity),
      ...await checkMetadata(metadata, identity, browser),
      ...(mayProbe ? await probe() : []),
      clock(seen),
    ];
  } catch (error) {
    return [failedBy("discovery", error), skipped("device flow", "discovery failed"), clock(seen)];
  }
}

function spy({ fetch, now }: Runtime, seen: Seen): typeof globalThis.fetch {
  return async (input, init) => {
    const before = now();
    const response = await fetch(input, init);
    seen.hasAnswer = true;
    seen.skewMs = skewOf(response.headers, (before + now()) / 2);
    seen.metadata = await response.clone().json().catch(() => undefined);
    return response;
  };
}

/** The `Date` header counts whole seconds, and a cache adds the age of its answer. */
function skewOf(headers: Headers, now: number): number | undefined {
  const date = parseHttpDate(headers.get("date"));
  const age = Number(headers.get("age") ?? 0);
  return Number.isNaN(date) ? undefined : date + 500 + (age || 0) * 1000 - now;
}

/** A sign-in also asks for these permissions, but only when the person already waits. */
function checkHosts(hosts: readonly string[]): Finding[] {
  const denied = hosts.filter((host) => !isGranted({ name: "net", host }));
  if (denied.length === 0) return [];
  return [fail(
    "provider's hosts",
    `endpoints are on hosts that Deno does not permit: ${denied.join(", ")}`,
    `Run with ${permissionFlag("net", ...denied)}, too: see permissions --discover.`,
  )];
}

/** A sign-in without them fails before the person is asked. */
function checkEndpoints(
  metadata: Record<string, unknown>,
  { scope, flow }: OidcIdentity,
): Finding[] {
  const hasIdToken = flow !== "client_credentials" && scope.split(" ").includes("openid");
  const missing = ["token_endpoint", ...(hasIdToken ? ["jwks_uri"] : [])]
    .filter((name) => metadata[name] === undefined);
  if (missing.length === 0) return [];
  const message = `the discovery document has no ${missing.join(" and no ")}`;
  return [fail("endpoints", message, "Check the issuer, then ask who runs the provider.")];
}

async function checkMetadata(
  metadata: Record<string, unknown>,
  identity: OidcIdentity,
  browser: BrowserOptions,
): Promise<Finding[]> {
  const { scope } = identity;
  const findings = await checkFlows(metadata, identity, browser);
  const scopes = metadata.scopes_supported;
  const isAsked = scope.split(" ").includes("offline_access");
  if (isAsked && Array.isArray(scopes) && !scopes.includes("offline_access")) {
    findings.push(warning(
      "refresh",
      "the provider does not list the scope offline_access, so there may be no refresh token",
      "Have it enabled for this client; otherwise people sign in again when the token ends.",
    ));
  }
  if (metadata.revocation_endpoint === undefined) {
    findings.push(warning(
      "revocation",
      "the provider has no revocation endpoint",
      "logout --revoke cannot end tokens there: they stay valid until they expire.",
    ));
  }
  return findings;
}

/** Compares the clocks. Without an answer, or without a time in it, there is nothing to compare. */
export function clock({ skewMs, hasAnswer }: Pick<Seen, "skewMs" | "hasAnswer">): Finding {
  const check = "clock";
  if (hasAnswer !== true) return skipped(check, "the provider did not answer");
  if (skewMs === undefined) {
    const message =
      "the provider does not send its time; --refresh and a sign-in take it from the " +
      "new ID token";
    return skipped(check, message);
  }
  const off = Math.abs(skewMs);
  if (off <= SKEW_WARNING_MS) return ok(check, "within 30 s of the provider's");
  const direction = skewMs > 0 ? "behind" : "ahead of";
  const message = `this computer's clock is ${formatLength(off)} ${direction} the provider's`;
  const advice =
    "Set it by a time server. A wrong clock makes ID tokens fail and tokens end at the wrong time.";
  return off > SKEW_FAILURE_MS ? fail(check, message, advice) : warning(check, message, advice);
}
