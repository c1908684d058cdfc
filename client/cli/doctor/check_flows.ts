import { listenNeeds, resolveRedirect } from "../../options/browser_options.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import { browserLauncher } from "../../permissions/browser_launcher.ts";
import { fail, failedBy, type Finding, ok, warning } from "./finding.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** The flows for a person that the provider offers, and whether they can work on this machine. */
export function checkFlows(metadata: Record<string, unknown>, identity: OidcIdentity): Finding[] {
  const browser = browserFlow(metadata, identity);
  const device = deviceFlow(metadata);
  if (identity.flow === "browser") return [browser];
  if (identity.flow === "device") return [device];
  // Either will do.
  const isBrowser = browser.result === "ok" && device.result === "fail";
  if (!isBrowser) return [device, ...(browser.result === "fail" ? [] : [browser])];
  const advice = "Nothing needs to be done: the browser is used instead.";
  return [warning(device.check, device.message, advice), browser];
}

function deviceFlow(metadata: Record<string, unknown>): Finding {
  const check = "device flow";
  const advice = "Have the device flow (device code grant) enabled, or use another provider.";
  if (metadata.device_authorization_endpoint === undefined) {
    return fail(check, "the provider offers none", advice);
  }
  const grants = metadata.grant_types_supported;
  if (Array.isArray(grants) && !grants.includes(DEVICE_GRANT)) {
    const message = "it has an endpoint, but is not among the provider's grant types";
    return warning(check, message, advice);
  }
  return ok(check, "the provider offers it; only a sign-in shows whether this client may use it");
}

function browserFlow(metadata: Record<string, unknown>, { issuer }: OidcIdentity): Finding {
  const check = "browser flow";
  const { authorization_endpoint, response_types_supported: types } = metadata;
  const methods = metadata.code_challenge_methods_supported;
  const advice = 'Have it enabled there, or set flow to "device".';
  if (authorization_endpoint === undefined || (Array.isArray(types) && !types.includes("code"))) {
    return fail(check, "the provider offers none", advice);
  }
  if (Array.isArray(methods) && !methods.includes("S256")) {
    return fail(check, "the provider does not know PKCE with S256", advice);
  }
  try {
    const setting = resolveRedirect({}, issuer, "sign in");
    const denied = listenNeeds(setting).filter((need) => !isGranted(need));
    if (denied.length > 0) {
      const hosts = denied.map((need) => need.name === "net" ? need.host : "").join(",");
      const message = "Deno does not permit to listen for the browser";
      return warning(check, message, `Run with --allow-net=${hosts}, too.`);
    }
    const place = setting.uriOf(setting.ports[0]!).replace(/:0(?=\/|$)/, ":<free port>");
    return ok(check, `the provider offers it; the browser comes back to ${place}${openerWords()}`);
  } catch (error) {
    return failedBy(check, error);
  }
}

function openerWords(): string {
  const [command] = browserLauncher();
  return isGranted({ name: "run", command })
    ? ""
    : `; ${command} is not there or not permitted, so the person opens the link`;
}

function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}
