import { isSecureUrl } from "../../backends/common/hosts.ts";
import { isEnvGranted, readEnvIfGranted } from "../../backends/common/read_env.ts";
import {
  checkKeyPart,
  checkProfile,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "../credential_key.ts";
import { MissingApiCredentialsError, ValidMindAuthError } from "../errors.ts";
import type { BearerKind, SessionOptions } from "../session_options.ts";
import type { Identity } from "./identity.ts";

/** What is asked for where nobody says. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

/** A URL in which nothing but a host, a port and a path can stand. */
const PLAIN_URL = /^https:\/\/[^\s?#@\\]+$/;

const ENTRA_HOSTS = [
  "login.microsoftonline.com",
  "login.microsoftonline.us",
  "login.partner.microsoftonline.cn",
];

/** Who signs in: by option, or by variable where no option says. */
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
    if (options.dpop) throw noDpop(action, "an API key cannot be bound to one", "Leave dpop out");
    return {
      kind: "api_key",
      apiKey: headerValue(apiKey, "apiKey (VM_API_KEY)", action),
      apiSecret: headerValue(apiSecret, "apiSecret (VM_API_SECRET)", action),
    };
  }
  throw missingCredentials(action, hasKeyOption);
}

function oidcIdentity(
  options: SessionOptions,
  issuer: string | undefined,
  clientId: string | undefined,
  action: string,
): Identity {
  if (issuer === undefined || clientId === undefined) throw halfAnIdentity(issuer, action);
  const checked = checkKeyPart(checkIssuer(normalizeIssuer(issuer), action), "issuer", action);
  const { dpop = false, bearer = "auto" } = options;
  if (dpop && bearerKind(bearer, checked) === "id_token") {
    throw noDpop(
      action,
      "the ID token is to be the bearer, which cannot be",
      'Set bearer: "access_token", or leave dpop out',
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
    ...(options.clientSecret !== undefined && { clientSecret: options.clientSecret }),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile: checkProfile(profile, action) }),
    scope: scope === undefined
      ? DEFAULT_SCOPE
      : nonEmpty(scope.trim().split(/\s+/).join(" "), "scope", action),
    ...(dpop && { dpop }),
  };
}

/** Which token is the bearer for this issuer. */
export function bearerKind(bearer: BearerKind, issuer: string): "access_token" | "id_token" {
  if (bearer !== "auto") return bearer;
  return isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer is Microsoft Entra's, of the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  // Every start asks, most issuers are none of them, and a URL object costs more than the answer.
  return /microsoftonline/i.test(issuer) && ENTRA_HOSTS.includes(new URL(issuer).hostname);
}

function halfAnIdentity(issuer: string | undefined, action: string): ValidMindAuthError {
  const [have, lack, option, variable] = issuer === undefined
    ? ["OAuth client id", "an issuer", "issuer", "VM_OIDC_ISSUER"]
    : ["issuer", "a client id", "clientId", "VM_OIDC_CLIENT_ID"];
  assertReadable([variable], action);
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: there is an ${have} without ${lack}. Pass ${option} or set ${variable}.`,
  );
}

/** The issuer itself is kept to the letter: a URL object would rewrite it, and with it the key. */
export function checkIssuer(issuer: string, action: string): string {
  // Every start asks, and to take a URL object apart costs it a fifth of a millisecond.
  if (PLAIN_URL.test(issuer) && URL.canParse(issuer)) return issuer;
  const url = secureUrl(issuer, `${action}: the issuer`);
  if (url.search === "" && url.hash === "" && url.username === "" && url.password === "") {
    return issuer;
  }
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: the issuer has a query, a fragment or a password in it. ` +
      `Give the issuer identifier alone, as the provider's discovery document states it.`,
  );
}

/**
 * The URL, if secrets may travel to it: `https:`, or `http:` on this host's own loopback.
 *
 * @param action As in "Cannot {action} …": what the URL is for.
 * @throws {ValidMindAuthError} `invalid_options` when it is no http(s) URL, `insecure_url`.
 */
export function secureUrl(text: string, action: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ValidMindAuthError(
      "invalid_options",
      `Cannot ${action} ${JSON.stringify(text)} is not an http(s) URL. Give one such as ` +
        `"https://login.example.com".`,
    );
  }
  if (isSecureUrl(url)) return url;
  throw new ValidMindAuthError(
    "insecure_url",
    `Cannot ${action} ${url.origin} would get secrets in clear text. Use https: (http: is for ` +
      `localhost, 127.0.0.1 and [::1] only).`,
  );
}

function nonEmpty(value: string, name: string, action: string): string {
  if (value !== "") return value;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${name} is empty. Give a value, or leave it out.`,
  );
}

/** Refused here, since the error of `Headers` comes after the sign-in and quotes the value. */
export function headerValue(value: string, name: string, action: string): string {
  if (/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return value;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${name} has a character that no HTTP header can carry. Correct it.`,
  );
}

function noDpop(action: string, reason: string, advice: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: tokens are to be bound to a key (dpop), and ${reason}. ${advice}.`,
  );
}

function conflict(action: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "conflicting_credentials",
    `Cannot ${action}: there are an API key and OIDC settings. Give either apiKey and apiSecret ` +
      `(VM_API_KEY, VM_API_SECRET) or issuer and clientId (VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID).`,
  );
}

function missingCredentials(action: string, hasKeyOption: boolean): ValidMindAuthError {
  const names = hasKeyOption
    ? ["VM_API_KEY", "VM_API_SECRET"]
    : ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID", "VM_API_KEY", "VM_API_SECRET"];
  assertReadable(names, action);
  return new MissingApiCredentialsError(
    `Cannot ${action}: there are no credentials. Give issuer and clientId (or VM_OIDC_ISSUER and ` +
      `VM_OIDC_CLIENT_ID) to sign in as a person, or apiKey and apiSecret (or VM_API_KEY and ` +
      `VM_API_SECRET).`,
  );
}

/** What is missing may stand in a variable that Deno denies: then that is the error. */
export function assertReadable(names: string[], action: string): void {
  const denied = names.filter((name) => !isEnvGranted(name));
  if (denied.length === 0) return;
  throw new ValidMindAuthError(
    "permission_required",
    `Cannot ${action}: a needed option is not given, and its variable may not be read. ` +
      `Run with --allow-env=${denied.join(",")}, or pass the option.`,
  );
}
