import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { given } from "../../backends/common/given.ts";
import { isSecureUrl } from "../../backends/common/host.ts";
import {
  checkKeyPart,
  checkProfile,
  normalizeAudience,
  normalizeClientId,
  normalizeIssuer,
} from "../credential_key.ts";
import { asksNobody, bearerKind, DEFAULT_SCOPE } from "../entry/bearer.ts";
import { invalidOptions, MissingApiCredentialsError, ValidMindAuthError } from "../errors.ts";
import type { SessionOptions, SignInFlow } from "../session_options.ts";
import { misspelledVariables, named, type OptionName, OPTIONS, valueOf } from "./declaration.ts";

/** The option by which a client proves who it is, with its value. */
export interface ClientProof {
  readonly option: typeof CLIENT_AUTH[number];
  readonly value: string | (() => string | Promise<string>);
}

/** A sign-in at an OpenID Provider. The variables of its client are read by the provider. */
export interface OidcIdentity {
  kind: "oidc";
  proof?: ClientProof;
  subjectTokenFile?: string;
  issuer: string;
  clientId: string;
  audience?: string;
  profile?: string;
  /** Empty where none is asked for. */
  scope: string;
  /** Whether nobody named the scope, so that it may be changed. */
  isDefaultScope?: boolean;
  /** Absent for `auto`. */
  flow?: Exclude<SignInFlow, "auto">;
  /** Whether tokens are bound to a key. */
  dpop?: boolean;
}

/** The credentials of a session: a sign-in, or an API key. */
export type Identity = OidcIdentity | {
  kind: "api_key";
  apiKey: string;
  /** Empty until its file is read. */
  apiSecret: string;
  apiSecretFile?: string;
};

/** The options by which a client proves who it is. */
export const CLIENT_AUTH = [
  "clientSecret",
  "clientSecretFile",
  "clientKeyFile",
  "clientAssertionFile",
  "clientAssertion",
] as const;

/** The variables by which a job of GitHub Actions gets assertions: an address, and a token for it. */
export const GITHUB_VARIABLES = [
  "ACTIONS_ID_TOKEN_REQUEST_URL",
  "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
] as const;

/** The identity that the options name, or the variables in place of absent options. */
export function resolveIdentity(options: SessionOptions, action: string): Identity {
  const hasOidcOption = options.issuer !== undefined || options.clientId !== undefined;
  const hasKeyOption = [options.apiKey, options.apiSecret, options.apiSecretFile]
    .some((value) => value?.trim());
  const read = (
    name: "issuer" | "clientId" | "apiKey" | "apiSecret" | "apiSecretFile",
    isOpen: boolean,
  ) => (isOpen ? valueOf(name, options, action) : options[name])?.trim() || undefined;
  const issuer = read("issuer", !hasKeyOption);
  const clientId = read("clientId", !hasKeyOption);
  const apiKey = read("apiKey", !hasOidcOption);
  const apiSecret = read("apiSecret", !hasOidcOption && options.apiSecretFile === undefined);
  const apiSecretFile = apiSecret === undefined ? read("apiSecretFile", !hasOidcOption) : undefined;
  const hasKey = apiKey !== undefined && (apiSecret ?? apiSecretFile) !== undefined;
  if (issuer !== undefined || clientId !== undefined) {
    if (hasKeyOption || hasKey) {
      throw new ValidMindAuthError("conflicting_credentials", {
        action,
        reason: "an API key and OIDC settings are given",
        remedy: `Give either ${named("apiKey")} and ${named("apiSecret")}, or ${named("issuer")} ` +
          `and ${named("clientId")}.`,
      });
    }
    if (issuer === undefined) throw invalidOptions(lacks("issuer", action));
    if (clientId === undefined) throw invalidOptions(lacks("clientId", action));
    return oidcIdentity(options, issuer, clientId, action);
  }
  if (!hasKey) {
    const lack = apiKey === undefined ? "apiKey" : "apiSecret";
    const isHalf = (apiKey ?? apiSecret) !== undefined;
    throw new MissingApiCredentialsError(isHalf ? lacks(lack, action) : nothingGiven(action));
  }
  if (options.dpop) {
    throw invalidOptions({
      action,
      reason: `${named("dpop")} binds tokens, and an API key cannot be bound`,
      remedy: "Leave it out.",
    });
  }
  return {
    kind: "api_key",
    apiKey: headerValue(apiKey, "apiKey", action),
    apiSecret: headerValue(apiSecret ?? "", "apiSecret", action),
    ...(apiSecretFile !== undefined && { apiSecretFile }),
  };
}

function oidcIdentity(
  options: SessionOptions,
  issuer: string,
  client: string,
  action: string,
): OidcIdentity {
  const checked = checkKeyPart(checkIssuer(normalizeIssuer(issuer), action), "issuer", action);
  const clientId = checkKeyPart(normalizeClientId(client), "clientId", action);
  if (clientId === "") {
    throw invalidOptions({
      action,
      reason: `${named("clientId")} is empty`,
      remedy: "Correct it.",
    });
  }
  const flow = valueOf("flow", options, action)!;
  checkBearer(options, checked, flow, action);
  const profile = valueOf("profile", options, action);
  const scope = valueOf("scope", options, action)?.trim().split(/\s+/).join(" ");
  return {
    kind: "oidc",
    issuer: checked,
    clientId,
    scope: scope ?? (asksNobody(flow) ? "" : DEFAULT_SCOPE),
    ...given({
      proof: proofIn(options, action),
      subjectTokenFile: flow === "token_exchange" ? options.subjectTokenFile : undefined,
      audience: normalizeAudience(valueOf("audience", options, action)),
      profile: profile === undefined ? undefined : checkProfile(profile, action),
      isDefaultScope: scope === undefined || undefined,
      flow: flow === "auto" ? undefined : flow,
      dpop: options.dpop || undefined,
    }),
  };
}

/** Refuses an ID token as the bearer: it cannot be bound, and flows that ask nobody are for an access token. */
function checkBearer(
  { dpop, bearer = "auto" }: SessionOptions,
  issuer: string,
  flow: string,
  action: string,
): void {
  const isAlone = asksNobody(flow);
  if (!dpop && !isAlone || bearerKind(bearer, issuer, flow) !== "id_token") return;
  const cause = isAlone ? named("flow", flow) : named("dpop");
  throw invalidOptions({
    action,
    reason: `${cause} is not for an ID token, which is the bearer here`,
    remedy: `Set ${named("bearer", "access_token")}, or leave ${cause} out.`,
  });
}

/**
 * The proof of the client among options: one at most.
 *
 * @throws {ValidMindAuthError} `invalid_options` for more.
 */
export function proofIn(options: SessionOptions, action: string): ClientProof | undefined {
  const [option, other] = CLIENT_AUTH.filter((name) => options[name] !== undefined);
  if (option === undefined) return undefined;
  if (other === undefined) return { option, value: options[option]! };
  throw invalidOptions({
    action,
    reason: `${named(option)} and ${named(other)} exclude each other`,
    remedy: "Give only the one that is registered for the client.",
  });
}

/** The file with a proof, if it is in one. */
export function fileWith({ option, value }: ClientProof): string | undefined {
  return typeof value === "string" && option.endsWith("File") ? value : undefined;
}

/**
 * How a job of GitHub Actions gets an assertion about itself: at an address, with a token, for an
 * audience, which is empty for the usual one. `undefined` where the client proves itself in another way.
 *
 * @throws {ValidMindAuthError} `invalid_options`, `insecure_url`.
 */
export function gitHubJob({ option, value }: ClientProof) {
  if (option !== "clientAssertion" || !/^github(:|$)/.test(`${value}`)) return undefined;
  const [url, token = ""] = GITHUB_VARIABLES.map((name) => readEnvIfGranted(name)?.trim());
  const address = url && secureUrl(url, GITHUB_VARIABLES[0], "get an assertion") || undefined;
  return { audience: `${value}`.slice("github:".length), address, token };
}

/**
 * The identity, with the variables in place of absent options of its client. They are for the client
 * alone that the variables for issuer and client id name.
 *
 * @throws {ValidMindAuthError} `invalid_options` where variables give several proofs.
 */
export function withClientVariables(identity: OidcIdentity): OidcIdentity {
  const { issuer, clientId, flow, proof, subjectTokenFile } = identity;
  const isSubjectOpen = flow === "token_exchange" && subjectTokenFile === undefined;
  // Where nothing is open, no variable is read.
  if ((proof && !isSubjectOpen) || !isNamedByEnv(issuer, clientId)) return identity;
  const read = <K extends OptionName>(name: K) => valueOf(name, {}, "sign in");
  const proofs = () => Object.fromEntries(CLIENT_AUTH.map((name) => [name, read(name)]));
  const found = {
    proof: proof ?? proofIn(proofs(), "sign in"),
    subjectTokenFile: isSubjectOpen ? read("subjectTokenFile") : undefined,
  };
  return { ...identity, ...given(found) };
}

/** Whether the variables name this client of this issuer, both normalized. */
export function isNamedByEnv(issuer: string, clientId: string): boolean {
  return normalizeIssuer(readEnvIfGranted(OPTIONS.issuer.variable) ?? "") === issuer &&
    normalizeClientId(readEnvIfGranted(OPTIONS.clientId.variable) ?? "") === clientId;
}

/** Checks an issuer and returns it unchanged: a URL object would rewrite it, and so its key. */
export function checkIssuer(issuer: string, action: string): string {
  const url = secureUrl(issuer, named("issuer"), action);
  if (url.search === "" && url.hash === "") return issuer;
  throw invalidOptions({
    action,
    reason: `${named("issuer")} has a query or a fragment`,
    remedy: "Give the issuer identifier alone, as the provider's discovery document states it.",
  });
}

/**
 * Parses a URL that secrets may travel to: `https:`, or `http:` on this host's loopback. The errors
 * show no more than its origin, since a password or a token may be in the rest.
 *
 * @param place The place of the URL in words, such as its option.
 * @throws {ValidMindAuthError} `invalid_options` for anything but a plain http(s) URL, `insecure_url`.
 */
export function secureUrl(text: string, place: string, action: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalidOptions({
      action,
      reason: `${place} is not an http(s) URL`,
      remedy: 'Give one that begins with "https://".',
    });
  }
  if (!isSecureUrl(url)) {
    const origin = url.origin.slice(0, 200);
    throw new ValidMindAuthError("insecure_url", {
      action,
      reason: `${place} is ${origin}, which would get secrets in clear text`,
      remedy: "Use https: (http: is for localhost, 127.0.0.1 and [::1] only).",
    });
  }
  if (url.username === "" && url.password === "") return url;
  throw invalidOptions({
    action,
    reason: `${place} has a user name or a password`,
    remedy: "Leave them out.",
  });
}

/** Refuses a value that no header can carry. `Headers` would do so later, and quote the value. */
export function headerValue(value: string, name: OptionName, action: string): string {
  if (/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return value;
  throw invalidOptions({
    action,
    reason: `${named(name)} has a character that no HTTP header can carry`,
    remedy: "Correct it.",
  });
}

/** The error for one half of a pair. */
function lacks(name: OptionName, action: string): ErrorParts {
  return {
    action,
    reason: "half of the credentials is missing",
    remedy: `Give ${named(name)}, too.${misspelledVariables()}`,
  };
}

function nothingGiven(action: string): ErrorParts {
  const signIn = `${named("issuer")} and ${named("clientId")} to sign in`;
  const key = `${named("apiKey")} and ${named("apiSecret")}`;
  const remedy = `Give ${signIn}, or ${key}.${misspelledVariables()}`;
  return { action, reason: "there are no credentials", remedy };
}
