import { type ErrorParts, messageOf } from "../../backends/credentials_backend_error.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { given } from "../../backends/common/json.ts";
import { printable } from "../../backends/common/printable.ts";
import { isSecureUrl } from "../../backends/common/host.ts";
import { isDeno } from "../../backends/common/runtime.ts";
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
import { KEY_WORDS, named, type OptionName, PROOFS, SIGN_IN_WORDS } from "./declaration.ts";
import type { CallOrigin } from "./places.ts";
import { lackOfSettings, listProfiles } from "./settings_path.ts";

/** The option by which a client proves who it is, with its value. */
export interface ClientProof {
  readonly option: typeof PROOFS[number];
  readonly value: NonNullable<SessionOptions["clientAssertion"]>;
}

/** A sign-in at an OpenID Provider. */
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

/** The variables by which a job of GitHub Actions gets assertions: an address, and a token for it. */
export const GITHUB_VARIABLES = [
  "ACTIONS_ID_TOKEN_REQUEST_URL",
  "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
] as const;

/**
 * The identity that the options name.
 *
 * @param options The values in force: see `Origin.complete`.
 * @param places The places of the values, for an error that tells what was passed over.
 */
export function resolveIdentity(
  options: SessionOptions,
  action: string,
  places?: CallOrigin,
): Identity {
  const [issuer, clientId, apiKey, apiSecret, apiSecretFile] =
    (["issuer", "clientId", "apiKey", "apiSecret", "apiSecretFile"] as const)
      .map((name) => options[name]?.trim() || undefined);
  const secret = apiSecret ?? apiSecretFile;
  const isSignIn = issuer !== undefined || clientId !== undefined;
  const isKey = apiKey !== undefined || secret !== undefined;
  if (isSignIn && isKey) {
    throw new ValidMindAuthError("conflicting_credentials", {
      action,
      reason: "an API key and OIDC settings are given",
      remedy: `Give either ${KEY_WORDS}, or ${SIGN_IN_WORDS}.`,
    });
  }
  if (isSignIn) {
    if (issuer && clientId) return oidcIdentity(options, issuer, clientId, action);
    const absent = issuer ? "clientId" : "issuer";
    throw new ValidMindAuthError("invalid_options", lacks(absent, action, places));
  }
  if (!isKey) throw noProvider(action, places);
  if (apiKey === undefined || secret === undefined) {
    const absent = apiKey ? "apiSecret" : "apiKey";
    throw new MissingApiCredentialsError(lacks(absent, action, places));
  }
  if (options.dpop) {
    const reason = `${named("dpop")} binds tokens, and an API key cannot be bound`;
    throw invalidOptions(action, reason, "Leave it out.");
  }
  return {
    kind: "api_key",
    apiKey: headerValue(apiKey, "apiKey", action),
    apiSecret: headerValue(apiSecret ?? "", "apiSecret", action),
    ...(apiSecret === undefined && { apiSecretFile: secret }),
  };
}

function noProvider(action: string, places?: CallOrigin) {
  const remedy = `Set ${SIGN_IN_WORDS}, or ${KEY_WORDS}; your administrator knows them.`;
  return new MissingApiCredentialsError({
    action,
    reason: "no provider is set",
    remedy: remedy + settingsHint(places),
  });
}

function oidcIdentity(
  options: SessionOptions,
  issuer: string,
  client: string,
  action: string,
): OidcIdentity {
  const checked = checkKeyPart(
    checkIssuer(normalizeIssuer(issuer), action),
    named("issuer"),
    action,
  );
  const clientId = checkKeyPart(normalizeClientId(client), named("clientId"), action);
  if (clientId === "") {
    throw invalidOptions(action, `${named("clientId")} is empty`, "Correct it.");
  }
  const { flow = "auto", profile } = options;
  checkBearer(options, checked, flow, action);
  const scope = options.scope?.trim().split(/\s+/).join(" ");
  return {
    kind: "oidc",
    issuer: checked,
    clientId,
    scope: scope ?? (asksNobody(flow) ? "" : DEFAULT_SCOPE),
    ...given({
      proof: proofIn(options, action),
      subjectTokenFile: flow === "token_exchange" ? options.subjectTokenFile : undefined,
      audience: normalizeAudience(options.audience),
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
) {
  let cause = dpop && named("dpop");
  if (asksNobody(flow)) cause = named("flow", flow);
  if (!cause || bearerKind(bearer, issuer, flow) !== "id_token") return;
  throw invalidOptions(
    action,
    `${cause} is not for an ID token, which is the bearer here`,
    `Set ${named("bearer", "access_token")}, or leave ${cause} out.`,
  );
}

/**
 * The proof of the client among options: one at most.
 *
 * @throws {ValidMindAuthError} `invalid_options` for more.
 */
export function proofIn(options: SessionOptions, action: string): ClientProof | undefined {
  const [option, other] = PROOFS.filter((name) => options[name] !== undefined);
  if (option === undefined) return undefined;
  if (other === undefined) return { option, value: options[option]! };
  throw invalidOptions(
    action,
    `${named(option)} and ${named(other)} exclude each other`,
    "Give only the one that is registered for the client.",
  );
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

/** Checks an issuer and returns it unchanged: a URL object would rewrite it, and so its key. */
export function checkIssuer(issuer: string, action: string): string {
  const url = secureUrl(issuer, named("issuer"), action);
  if (url.search === "" && url.hash === "") return issuer;
  throw invalidOptions(
    action,
    `${named("issuer")} has a query or a fragment`,
    "Give the issuer identifier alone, as the provider's discovery document states it.",
  );
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
    throw invalidOptions(
      action,
      `${place} is not an http(s) URL`,
      'Give one that begins with "https://".',
    );
  }
  if (!isSecureUrl(url)) {
    throw new ValidMindAuthError("insecure_url", {
      action,
      reason: `${place} is ${printable(url.origin)}, which would get secrets in clear text`,
      remedy: "Use https: (http: is for localhost, 127.0.0.1 and [::1] only).",
    });
  }
  if (url.username === "" && url.password === "") return url;
  throw invalidOptions(action, `${place} has a user name or a password`, "Leave them out.");
}

/** Refuses a value that no header can carry. `Headers` would do so later, and quote the value. */
export function headerValue(value: string, name: OptionName, action: string): string {
  if (/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return value;
  throw invalidOptions(
    action,
    `${named(name)} has a character that no HTTP header can carry`,
    "Correct it.",
  );
}

/** The error for one half of a pair. */
function lacks(name: OptionName, action: string, places?: CallOrigin): ErrorParts {
  return {
    action,
    reason: passedReason(name, places) ?? "half of the credentials is missing",
    remedy: `Give ${named(name)}, too.${settingsHint(places)}`,
  };
}

/** Why a value of another place does not count, if there is one. */
export function passedReason(name: OptionName, places?: CallOrigin): string | undefined {
  const passed = places?.origin.passed(name);
  return passed && `the ${name} of ${passed.place.words} does not count: ${passed.because}`;
}

/** What a settings file could give, after a space: why it was not read, or its profiles where none applies. */
export function settingsHint(places?: CallOrigin): string {
  if (places === undefined) return "";
  const { settings, profile } = places;
  const { denial, path, state } = settings;
  if (denial !== undefined) return ` ${messageOf(denial)}`;
  const lack = isDeno && state === "absent" && lackOfSettings();
  if (lack) return ` There is no settings file: ${lack}.`;
  const names = listProfiles(settings);
  if (names === "" || profile !== undefined) return "";
  return ` Or name a profile of ${path} by ${named("profile")}: ${names}.`;
}
