import { isGranted, permissionFlag } from "../../../backends/common/platform.ts";
import {
  type BrowserOptions,
  listenNeeds,
  resolveRedirect,
} from "../../options/browser_options.ts";
import { clientAuthFromEnv } from "../../options/resolve_identity.ts";
import type { OidcIdentity } from "../../options/identity.ts";
import { browserLauncher } from "../../permissions/browser_launcher.ts";
import { fail, failedBy, type Finding, ok, warning } from "./finding.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** Loaded where the client signs in itself. */
const loadClientAuth = () => import("../../provider/client_auth.ts");

/** The wanted flows: whether the provider offers them, and whether they can work on this machine. */
export async function checkFlows(
  metadata: Record<string, unknown>,
  identity: OidcIdentity,
  options: BrowserOptions = {},
): Promise<Finding[]> {
  if (identity.flow === "client_credentials") return [await clientFlow(metadata, identity)];
  const browser = browserFlow(metadata, identity, options);
  const device = deviceFlow(metadata);
  if (identity.flow === "browser") return [browser];
  if (identity.flow === "device") return [device];
  return [...eitherFlow(device, browser), ...offersClientFlow(metadata)];
}

/** Of a person's two flows, either will do. */
function eitherFlow(device: Finding, browser: Finding): Finding[] {
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
  return ok(check, "the provider offers it; doctor --probe shows whether this client may use it");
}

function browserFlow(
  metadata: Record<string, unknown>,
  { issuer }: OidcIdentity,
  options: BrowserOptions,
): Finding {
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
    const setting = resolveRedirect(options, issuer, "sign in");
    const denied = listenNeeds(setting).filter((need) => !isGranted(need));
    if (denied.length > 0) {
      const hosts = denied.flatMap((need) => need.name === "net" ? [need.host ?? ""] : []);
      const message = "Deno does not permit to listen for the browser";
      return warning(check, message, `Run with ${permissionFlag("net", ...hosts)}, too.`);
    }
    const place = setting.uriOf(setting.ports[0]!).replace(/:0(?=\/|$)/, ":<free port>");
    return ok(check, `the provider offers it; the browser comes back to ${place}${openerWords()}`);
  } catch (error) {
    return failedBy(check, error);
  }
}

/** The flow of the client itself, where the provider states that it has it. */
function offersClientFlow({ grant_types_supported: grants }: Record<string, unknown>): Finding[] {
  if (!Array.isArray(grants) || !grants.includes("client_credentials")) return [];
  const message =
    "the provider offers it, for jobs without a person: doctor --flow client_credentials";
  return [ok("client flow", message)];
}

async function clientFlow(
  metadata: Record<string, unknown>,
  identity: OidcIdentity,
): Promise<Finding> {
  const check = "client flow";
  const { grant_types_supported: grants, token_endpoint_auth_methods_supported: methods } =
    metadata;
  if (Array.isArray(grants) && !grants.includes("client_credentials")) {
    const message = "client_credentials is not among the provider's grant types";
    return fail(check, message, "Have it enabled for this client.");
  }
  try {
    const { ClientAuthentication } = await loadClientAuth();
    const proof = new ClientAuthentication(clientAuthFromEnv(identity));
    if (proof.method === undefined) {
      const advice = "Set VM_OIDC_CLIENT_SECRET, VM_OIDC_CLIENT_KEY_FILE or " +
        "VM_OIDC_CLIENT_ASSERTION_FILE beside VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID.";
      return fail(check, "the client has nothing to prove itself by", advice);
    }
    const { names, source } = proof.method;
    const server = { ...metadata, issuer: identity.issuer } as { issuer: string };
    await proof.check(server, identity.clientId);
    if (Array.isArray(methods) && !names.some((name) => methods.includes(name))) {
      const message = `the provider does not list ${names.join(" or ")}, which ${source} is for`;
      return warning(check, message, "Give what the provider knows this client by.");
    }
    return ok(check, `the provider offers it; the client proves itself by ${source}`);
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
