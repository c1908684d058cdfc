import { memberOf } from "../../backends/common/describe_backend.ts";
import {
  BACKEND_VARIABLES,
  HOME_VARIABLE,
  quoteArgument,
  readEnvIfGranted,
} from "../../backends/common/platform.ts";
import {
  backendName,
  call,
  type Message,
  option,
  type Words,
  words,
} from "../../backends/credentials_backend_error.ts";
import { credentialsPath } from "../../backends/file.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { DEFAULT_SCOPE } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { OPTIONS } from "../options/declaration.ts";
import type { OidcIdentity } from "../options/identity.ts";

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";

/** The reason of an entry with less scope than this session asks for. */
export const OTHER_SCOPE = "the stored sign-in is for another scope (to use both at once, give " +
  "each a profile of its own)";

/** The reason of an entry that cannot be refreshed. */
export function noRefreshToken({ scope }: OidcIdentity): Message {
  return scope.split(" ").includes("offline_access")
    ? "there is no refresh token (the provider gave none: have it grant offline_access to this client)"
    : words`there is no refresh token (${option("scope")} has no offline_access)`;
}

/** The error where a person has to sign in and is not asked. It names the ways to do so. */
export function loginRequired(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  reason: Message,
  cause?: Error,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "login_required",
    words`Cannot get a token for ${identity.issuer}: ${reason}. ${advice(identity, backend)}`,
    { cause },
  );
}

/** The options that name a sign-in. */
const NAMING = ["issuer", "clientId", "audience", "profile", "flow", "scope", "dpop"] as const;

const HERE = "init() in a notebook or a terminal";

/** The ways to sign in to the same store. The command is safe in a folder that somebody else wrote. */
function advice(identity: OidcIdentity, backend: OidcCredentialsBackend): Words {
  const here = call("init", {}, HERE);
  if (memberOf(backend, "persistent") === false) {
    return words`Nothing is stored beyond this process: run ${here}.`;
  }
  const store = storeOf(backend);
  if (store === undefined) {
    return words`Sign in with the program that made the store: run ${here}.`;
  }
  const { name, options } = store;
  const given = NAMING.filter((name) => identity[name] && identity[name] !== DEFAULT_SCOPE);
  const login = Object.fromEntries(given.map((name) => [name, identity[name]]));
  const flags = given.map((name) => {
    const { flag } = OPTIONS[name];
    const value = identity[name]!;
    return typeof value === "string" ? `--${flag} ${quoteArgument(value)}` : `--${flag}`;
  });
  const unstable = name === "kv" ? " --unstable-kv" : "";
  const command = [
    `deno run -A --no-config${unstable} jsr:@validmind/auth/cli login`,
    ...flags,
    ...(options ? [`--backend ${name} --backend-options -`] : []),
  ].join(" ");
  const input = options ? `, with ${JSON.stringify(options)} as its input` : "";
  const inCode =
    `Sign in with\n  ${command}\nor with validmind-auth login and the same flags${input}, ` +
    `or run ${HERE}.`;
  return words`${call("login", login, inCode)}`;
}

/** The name of a store, and its options where the command line does not find it by itself. */
function storeOf(
  backend: OidcCredentialsBackend,
): { name: string; options?: { path: unknown } } | undefined {
  const { ownName, name: sharedName } = BACKEND_VARIABLES;
  const chosen = readEnvIfGranted(ownName) ?? readEnvIfGranted(sharedName);
  const className = backendName(backend);
  const isFile = className === "FileCredentialsBackend";
  if (!isFile && className !== "KvCredentialsBackend") {
    return chosen === undefined ? undefined : { name: chosen };
  }
  const { path } = backend as { path?: unknown };
  const hasHome = readEnvIfGranted(HOME_VARIABLE) !== undefined;
  const isDefault = isFile && chosen === undefined && hasHome && path === credentialsPath();
  const name = isFile ? "file" : "kv";
  return isDefault ? { name } : { name, options: { path } };
}

/** The refusals of the client itself, which no sign-in cures. */
const OF_CLIENT = ["invalid_client", "invalid_dpop_proof", "use_dpop_nonce"];

/** Whether the provider refused a refresh for a reason that a sign-in may cure. */
export function isRefusal(error: unknown): error is ValidMindAuthError & { answer?: string } {
  return error instanceof ValidMindAuthError && error.code === "provider_refused" &&
    !OF_CLIENT.includes(error.oauthError ?? "");
}

/** The error for an identity whose bearer is the ID token, without a valid one. */
export function noIdToken(issuer: string): ValidMindAuthError {
  const bearer = option("bearer", { value: "access_token" });
  return new ValidMindAuthError(
    "id_token_missing",
    words`Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave none that is valid. Ask for the scope "openid", or set ${bearer}.`,
  );
}

/** The error for a new token whose end is over by the clock of the session. */
export function hasEnded(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_invalid",
    `Cannot get a token for ${issuer}: the new ID token has ended by the clock here. Check this ` +
      `computer's clock, or the function that was given as the option "now".`,
  );
}
