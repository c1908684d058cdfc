import { parseHttpDate } from "../../../backends/common/printable.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { createSession } from "../../create_session.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { requiredPermissions } from "../../init.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import { clientAuthFromEnv } from "../../options/resolve_identity.ts";
import { preflight } from "../../permissions/preflight.ts";
import type { AuthorizationPrompt, SessionOptions } from "../../session_options.ts";
import type { FlagValues } from "../flags.ts";
import { formatLength } from "../status_text.ts";
import { fail, failedBy, type Finding, ok, skipped, warning } from "./finding.ts";

/** The tolerance of oauth4webapi for the times in an ID token. */
const SKEW_WARNING_MS = 30_000;
const SKEW_FAILURE_MS = 5 * 60_000;
/** Answers to a good client's code that nobody has issued. */
const NO_SUCH_CODE: readonly unknown[] = ["invalid_grant", "bad_verification_code"];

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
    if (flags.has("probe")) {
      findings.push(await probeClient(flags, identity, options, seen.metadata));
    }
  } catch (error) {
    findings.push(failedBy(findings.length === 0 ? "discovery" : "permissions", error, flags));
  }
  const isLater = seen.skewMs === undefined && flags.has("refresh"); // it comes from a new ID token
  return isLater ? findings : [...findings, clock(seen.skewMs)];
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
  const { flow, scope } = identity;
  const findings = [checkFlow(metadata, flow)];
  if (flow === "client_credentials" && Object.keys(clientAuthFromEnv(identity)).length === 0) {
    const advice = "Set VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE or " +
      "VM_OIDC_CLIENT_ASSERTION_FILE beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID.";
    findings.push(fail("client", "the client has nothing to prove itself by", advice));
  }
  const isAsked = scope.split(" ").includes("offline_access");
  if (isAsked && lacks(metadata.scopes_supported, "offline_access")) {
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
  if (isServed) return ok("flow", `${words}; doctor --probe shows whether this client may use it`);
  const message = `${words}, and not ${flow ?? "device or browser, with PKCE (S256)"}`;
  return fail("flow", message, "Have it enabled there, or choose another --flow.");
}

/** Whether a list that the provider states is without a name. */
function lacks(list: unknown, name: string): boolean {
  return Array.isArray(list) && !list.includes(name);
}

/** The clock of this computer beside the provider's, where that is known. */
export function clock(skewMs: number | undefined): Finding {
  const check = "clock";
  if (skewMs === undefined) {
    return skipped(check, "the provider's time is not known; --refresh takes it from an ID token");
  }
  const off = Math.abs(skewMs);
  if (off <= SKEW_WARNING_MS) return ok(check, "within 30 s of the provider's");
  const direction = skewMs > 0 ? "behind" : "ahead of";
  const message = `this computer's clock is ${formatLength(off)} ${direction} the provider's`;
  const advice =
    "Set it by a time server. A wrong clock makes ID tokens fail and tokens end at the wrong time.";
  return off > SKEW_FAILURE_MS ? fail(check, message, advice) : warning(check, message, advice);
}

/**
 * Tries the client by a sign-in that ends where a person would be asked. Nothing is stored: a code is
 * left to end, and a token is revoked.
 */
async function probeClient(
  flags: FlagValues,
  { flow }: OidcIdentity,
  { openBrowser: _, ...options }: SessionOptions,
  metadata: Metadata,
): Promise<Finding> {
  const check = "client";
  const ended = new AbortController();
  let finding = ok(check, "the provider took the client's request");
  const person: SessionOptions = {
    onDeviceCode: () => {},
    onAuthorizationUrl: async (prompt) => {
      if (!await submitNoCode(prompt, metadata)) ended.abort();
    },
  };
  try {
    await using session = await createSession({
      ...options,
      ...(flow !== "client_credentials" && person),
      credentialsBackend: new MemoryCredentialsBackend(),
      interactive: true,
      signal: ended.signal,
      onEvent: (event) => {
        if (event.type !== "sign_in_waiting") return;
        // The poll shows that the token endpoint takes the client: some look at it only there.
        finding = event.answer === "fault"
          ? fail(check, "the token endpoint gave no usable answer", "Ask who runs the provider.")
          : ok(check, "the provider gave this client a device code, which was dropped");
        ended.abort();
      },
    });
    const { revocation } = await session.clear({ revoke: true });
    const fate = revocation === "revoked" ? "was revoked" : "was dropped, and lasts until its end";
    return ok(check, `the provider gave this client a token, which ${fate}`);
  } catch (error) {
    if (ended.signal.aborted) return finding;
    const isCode = error instanceof ValidMindAuthError && NO_SUCH_CODE.includes(error.oauthError);
    if (!isCode) return failedBy(check, error, flags);
    return ok(check, "the provider refused only the code, which nobody had issued");
  }
}

/** Hands in the answer of a browser with a code that nobody has issued, where the link allows. */
async function submitNoCode(
  { url, redirectUri, submit }: AuthorizationPrompt,
  { issuer }: Metadata,
): Promise<boolean> {
  const state = new URL(url).searchParams.get("state");
  if (state === null) return false; // it was pushed
  const address = new URL(redirectUri);
  const code = `doctor-${crypto.randomUUID()}`;
  address.search = String(new URLSearchParams({ code, state, iss: String(issuer) }));
  await submit(address.href);
  return true;
}
