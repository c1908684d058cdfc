import { quoteArgument } from "../../backends/common/platform.ts";
import {
  backendName,
  call,
  type Message,
  option,
  type Words,
  words,
} from "../../backends/credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { DEFAULT_SCOPE } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { OPTIONS } from "../options/declaration.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";

/** The reason of an entry with less scope than this session asks for. */
export const OTHER_SCOPE = "the stored sign-in is for another scope (to use both at once, give " +
  "each a profile of its own)";

/** The reason of an entry that cannot be refreshed. */
export function noRefreshToken({ scope }: OidcIdentity): Message {
  return scope.split(" ").includes("offline_access")
    ? "there is no refresh token (the provider gave none, although offline_access was asked for: " +
      "have it allowed for this client; in the browser some providers want the authorization " +
      "parameter prompt=consent as well)"
    : words`there is no refresh token (${option("scope")} has no offline_access)`;
}

/**
 * The error where a person has to sign in and is not asked. It names the ways to do so.
 *
 * @param isFound Whether the command line finds the store as well: neither code nor a default names it.
 */
export function loginRequired(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  isFound: boolean,
  reason: Message,
  cause?: Error,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "login_required",
    words`Cannot get a token for ${identity.issuer}: ${reason}. ${
      advice(identity, backend, isFound)
    }`,
    { cause },
  );
}

/** The options that name a sign-in. */
const NAMING = ["issuer", "clientId", "audience", "profile", "flow", "scope", "dpop"] as const;

const HERE = "init() in a notebook or a terminal";

/** The ways to sign in to the same store. The command is safe in a folder that somebody else wrote. */
function advice(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  isFound: boolean,
): Words {
  if (backend.persistent === false) {
    return words`Nothing is stored beyond this process: run ${call("init", {}, HERE)}.`;
  }
  const given = NAMING.filter((name) => identity[name] && identity[name] !== DEFAULT_SCOPE);
  const login = Object.fromEntries(given.map((name) => [name, identity[name]]));
  const flags = given.map((name) => {
    const { flag } = OPTIONS[name];
    const value = identity[name]!;
    return typeof value === "string" ? `--${flag} ${quoteArgument(value)}` : `--${flag}`;
  });
  const isKv = backendName(backend) === "KvCredentialsBackend";
  const command = `deno run -A --no-config${
    isKv ? " --unstable-kv" : ""
  } jsr:@validmind/auth/cli login`;
  const way = isFound
    ? `\n  ${command} ${flags.join(" ")}\nor with validmind-auth login and the same flags, or`
    : " the program that made the store:";
  return words`${call("login", login, `Sign in with${way} run ${HERE}.`)}`;
}

/** Whether an error says that a person has to sign in. */
export function isLoginRequired(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && error.code === "login_required";
}

/** The refusals of the client itself, which no sign-in cures. */
const OF_CLIENT = ["invalid_client", "invalid_dpop_proof", "use_dpop_nonce"];

/** Whether the provider refused a refresh for a reason that a sign-in may cure. */
export function isRefusal(error: unknown): error is ValidMindAuthError & { answer?: string } {
  return error instanceof ValidMindAuthError && error.code === "provider_refused" &&
    !OF_CLIENT.includes(error.oauthError ?? "");
}

/** The error for an identity whose bearer is the ID token, without a live one. */
export function noIdToken(issuer: string): ValidMindAuthError {
  const bearer = option("bearer", { value: "access_token" });
  return new ValidMindAuthError(
    "id_token_missing",
    words`Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave
      none that lives by the clock here. Ask for the scope "openid", check this computer's clock, or
      set ${bearer}.`,
  );
}
