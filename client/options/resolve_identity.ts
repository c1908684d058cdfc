import { printable } from "../../backends/common/printable.ts";
import { isEnvGranted, isSecureUrl, readEnvIfGranted } from "../../backends/common/platform.ts";
import {
  bearerKind,
  checkKeyPart,
  checkProfile,
  DEFAULT_SCOPE,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "../entry.ts";
import { invalidOptions, MissingApiCredentialsError, ValidMindAuthError } from "../errors.ts";
import type { SessionOptions, SignInFlow } from "../session_options.ts";
import type { ClientAuthOptions, Identity, OidcIdentity } from "./identity.ts";

/** The values of the option `flow`. */
export const FLOWS: readonly SignInFlow[] = ["auto", "device", "browser", "client_credentials"];

/** The variables of the options by which a client proves who it is. */
export const CLIENT_AUTH_VARIABLES: Readonly<Record<keyof ClientAuthOptions, string>> = {
  clientSecret: "VM_OIDC_CLIENT_SECRET",
  clientKeyFile: "VM_OIDC_CLIENT_KEY_FILE",
  clientAssertionFile: "VM_OIDC_CLIENT_ASSERTION_FILE",
};

/** The identity that the options name, or the variables in place of absent options. */
export function resolveIdentity(options: SessionOptions, action: string): Identity {
  const hasOidcOption = options.issuer !== undefined || options.clientId !== undefined;
  const hasKeyOption = options.apiKey !== undefined || options.apiSecret !== undefined;
  let { issuer, clientId, apiKey, apiSecret } = options;
  if (!hasKeyOption) {
    issuer ??= readEnvIfGranted("VM_OIDC_ISSUER");
    clientId ??= readEnvIfGranted("VM_OIDC_CLIENT_ID");
  }
  if (!hasOidcOption) {
    apiKey ??= readEnvIfGranted("VM_API_KEY");
    apiSecret ??= readEnvIfGranted("VM_API_SECRET");
  }
  const hasOidc = issuer !== undefined || clientId !== undefined;
  if (hasOidc && (hasKeyOption || (apiKey !== undefined && apiSecret !== undefined))) {
    throw conflict(action);
  }
  if (hasOidc) return oidcIdentity(options, issuer, clientId, action);
  if (apiKey !== undefined && apiSecret !== undefined) {
    if (options.dpop) throw noDpop(action, "an API key cannot be bound", "Leave dpop out");
    return {
      kind: "api_key",
      apiKey: headerValue(apiKey, "apiKey (VM_API_KEY)", action),
      apiSecret: headerValue(apiSecret, "apiSecret (VM_API_SECRET)", action),
    };
  }
  throw missingCredentials(action, hasKeyOption, { apiKey, apiSecret });
}

function oidcIdentity(
  options: SessionOptions,
  issuer: string | undefined,
  clientId: string | undefined,
  action: string,
): Identity {
  if (issuer === undefined || clientId === undefined) throw halfAnIdentity(issuer, action);
  const checked = checkKeyPart(checkIssuer(normalizeIssuer(issuer), action), "issuer", action);
  const { dpop = false, bearer = "auto", flow = flowFromEnv(action) } = options;
  if (dpop && bearerKind(bearer, checked, flow) === "id_token") {
    throw noDpop(
      action,
      "the bearer is the ID token, which cannot be bound",
      'Set bearer: "access_token", or leave dpop out',
    );
  }
  const isClient = flow === "client_credentials";
  if (isClient && bearer === "id_token") {
    throw invalidOptions(
      `Cannot ${action}: a client has no ID token (flow: "client_credentials"), and bearer asks for ` +
        `it. Leave bearer out.`,
    );
  }
  const audience = normalizeAudience(options.audience ?? readEnvIfGranted("VM_OIDC_AUDIENCE"));
  const profile = options.profile ?? readEnvIfGranted("VM_OIDC_PROFILE");
  const scope = options.scope ?? readEnvIfGranted("VM_OIDC_SCOPE");
  return {
    kind: "oidc",
    issuer: checked,
    clientId: checkKeyPart(
      nonEmpty(normalizeClientId(clientId), "clientId", action),
      "clientId",
      action,
    ),
    ...clientAuthOf(options),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile: checkProfile(profile, action) }),
    scope: scope === undefined
      ? isClient ? "" : DEFAULT_SCOPE
      : nonEmpty(scope.trim().split(/\s+/).join(" "), "scope", action),
    ...(flow !== "auto" && { flow }),
    ...(dpop && { dpop }),
  };
}

function flowFromEnv(action: string): SignInFlow {
  const text = readEnvIfGranted("VM_OIDC_FLOW")?.trim();
  const flow = text ? FLOWS.find((one) => one === text) : "auto";
  if (flow !== undefined) return flow;
  throw invalidOptions(
    `Cannot ${action}: VM_OIDC_FLOW is not one of ${
      FLOWS.join(", ")
    }. Set one of them, or unset it.`,
  );
}

/** The options by which a client proves who it is, without the others of a call. */
export function clientAuthOf(
  { clientSecret, clientKeyFile, clientAssertionFile }: ClientAuthOptions,
): ClientAuthOptions {
  return {
    ...(clientSecret !== undefined && { clientSecret }),
    ...(clientKeyFile !== undefined && { clientKeyFile }),
    ...(clientAssertionFile !== undefined && { clientAssertionFile }),
  };
}

/**
 * The options by which the client proves who it is, with the variables in place of absent ones. They
 * are for the client alone that the variables for issuer and client id name.
 */
export function clientAuthFromEnv(identity: OidcIdentity): ClientAuthOptions {
  const { issuer, clientId } = identity;
  const given = clientAuthOf(identity);
  if (Object.keys(given).length > 0) return given;
  const named = readEnvIfGranted("VM_OIDC_ISSUER");
  const client = readEnvIfGranted("VM_OIDC_CLIENT_ID");
  if (named === undefined || client === undefined) return {};
  if (normalizeIssuer(named) !== issuer || normalizeClientId(client) !== clientId) return {};
  const found = Object.entries(CLIENT_AUTH_VARIABLES).flatMap(([option, variable]) => {
    const value = readEnvIfGranted(variable)?.trim();
    return value ? [{ option, variable, value }] : [];
  });
  if (found.length < 2) {
    return Object.fromEntries(found.map(({ option, value }) => [option, value]));
  }
  const [one, other] = found.map(({ variable }) => variable);
  throw invalidOptions(
    `Cannot sign in: ${one} and ${other} exclude each other. Unset all but the one that the provider ` +
      `knows the client by.`,
  );
}

function halfAnIdentity(issuer: string | undefined, action: string): ValidMindAuthError {
  const [have, lack, option, variable] = issuer === undefined
    ? ["OAuth client id", "an issuer", "issuer", "VM_OIDC_ISSUER"]
    : ["issuer", "a client id", "clientId", "VM_OIDC_CLIENT_ID"];
  assertReadable([variable], action);
  return invalidOptions(
    `Cannot ${action}: there is an ${have} without ${lack}. Pass ${option} or set ${variable}.`,
  );
}

/**
 * Checks an issuer and returns it unchanged: a URL object would rewrite it, and so its key.
 *
 * @param name The issuer in an error, where neither the option nor the variable holds it.
 */
export function checkIssuer(
  issuer: string,
  action: string,
  name = "issuer (VM_OIDC_ISSUER)",
): string {
  const url = secureUrl(issuer, `${action}: ${name}`);
  if (url.search === "" && url.hash === "" && url.username === "" && url.password === "") {
    return issuer;
  }
  throw invalidOptions(
    `Cannot ${action}: ${name} has a query, a fragment or a password in it. ` +
      `Give the issuer identifier alone, as the provider's discovery document states it.`,
  );
}

/**
 * Parses a URL that secrets may travel to: `https:`, or `http:` on this host's loopback. The errors
 * show no more than its origin, since a password or a token may be in the rest.
 *
 * @param action The caller's action with the URL's role, as in "Cannot sign in: the issuer …".
 * @throws {ValidMindAuthError} `invalid_options` for anything but an http(s) URL, `insecure_url`.
 */
export function secureUrl(text: string, action: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalidOptions(
      `Cannot ${action} is not an http(s) URL. Give one that begins with "https://".`,
    );
  }
  if (isSecureUrl(url)) return url;
  throw new ValidMindAuthError(
    "insecure_url",
    `Cannot ${action} is ${
      printable(url.origin)
    }, which would get secrets in clear text. Use https: (http: is ` +
      `for localhost, 127.0.0.1 and [::1] only).`,
  );
}

function nonEmpty(value: string, name: string, action: string): string {
  if (value !== "") return value;
  throw invalidOptions(
    `Cannot ${action}: ${name} is empty. Give a value, or leave it out.`,
  );
}

/** Refuses a value that no header can carry. `Headers` would do so later, and quote the value. */
export function headerValue(value: string, name: string, action: string): string {
  if (/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return value;
  throw invalidOptions(
    `Cannot ${action}: ${name} has a character that no HTTP header can carry. Correct it.`,
  );
}

function noDpop(action: string, reason: string, advice: string): ValidMindAuthError {
  return invalidOptions(
    `Cannot ${action}: dpop binds tokens to a key, and ${reason}. ${advice}.`,
  );
}

function conflict(action: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "conflicting_credentials",
    `Cannot ${action}: there are an API key and OIDC settings. Give either apiKey and apiSecret ` +
      `(VM_API_KEY, VM_API_SECRET) or issuer and clientId (VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID).`,
  );
}

function missingCredentials(
  action: string,
  hasKeyOption: boolean,
  { apiKey, apiSecret }: Pick<SessionOptions, "apiKey" | "apiSecret">,
): ValidMindAuthError {
  const names = hasKeyOption
    ? ["VM_API_KEY", "VM_API_SECRET"]
    : ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID", "VM_API_KEY", "VM_API_SECRET"];
  assertReadable(names, action);
  if (apiKey !== undefined || apiSecret !== undefined) {
    const [have, lack, option, variable] = apiKey === undefined
      ? ["a secret", "its API key", "apiKey", "VM_API_KEY"]
      : ["an API key", "its secret", "apiSecret", "VM_API_SECRET"];
    return new MissingApiCredentialsError(
      `Cannot ${action}: there is ${have} without ${lack}. Pass ${option}, or set ${variable}.`,
    );
  }
  return new MissingApiCredentialsError(
    `Cannot ${action}: there are no credentials. Give issuer and clientId (or VM_OIDC_ISSUER and ` +
      `VM_OIDC_CLIENT_ID) to sign in as a person, or apiKey and apiSecret (or VM_API_KEY and ` +
      `VM_API_SECRET).`,
  );
}

/** Refuses denied variables that may hold a missing option. */
export function assertReadable(names: string[], action: string): void {
  const denied = names.filter((name) => !isEnvGranted(name));
  if (denied.length === 0) return;
  throw new ValidMindAuthError(
    "permission_required",
    `Cannot ${action}: a needed option is not given, and its variable may not be read. ` +
      `Run with --allow-env=${denied.join(",")}, or pass the option.`,
  );
}
