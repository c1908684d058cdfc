import {
  BACKEND_VARIABLES,
  HOME_VARIABLE,
  readEnvIfGranted,
} from "../../backends/common/platform.ts";
import { memberOf } from "../../backends/common/describe_backend.ts";
import { credentialsPath, FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { OidcIdentity } from "../options/identity.ts";
import { DEFAULT_SCOPE } from "../entry.ts";

/** The OAuth errors of a refresh after which only the person can go on. */
const REFUSALS = ["invalid_grant", "interaction_required", "login_required", "consent_required"];

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";
/** The reason of an entry that cannot be refreshed. */
export function noRefreshToken({ scope }: OidcIdentity): string {
  const why = scope.split(" ").includes("offline_access")
    ? "the provider gave none: have it grant offline_access to this client"
    : "scope has no offline_access";
  return `the token has ended, and there is no refresh token (${why})`;
}

/**
 * The error where a person has to sign in and is not asked. It names the ways to do so: the command
 * line, where that leads to the same store, and this module in a notebook or a terminal.
 */
export function loginRequired(
  identity: OidcIdentity,
  backend: OidcCredentialsBackend,
  reason: string,
  cause?: Error,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "login_required",
    `Cannot get a token for ${identity.issuer}: ${reason}. ${advice(identity, backend)}`,
    { cause },
  );
}

function advice(identity: OidcIdentity, backend: OidcCredentialsBackend): string {
  const here = "init() in a notebook or a terminal";
  if (memberOf(backend, "persistent") === false) {
    return `Nothing is stored beyond this process: run ${here}.`;
  }
  const store = storeOf(backend);
  if (store === undefined) return `Sign in with the program that made the store: run ${here}.`;
  const { issuer, clientId, audience, profile, flow, dpop, scope } = identity;
  const flags = {
    issuer,
    "client-id": clientId,
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(flow !== undefined && { flow }),
    ...(scope !== DEFAULT_SCOPE && { scope }),
    ...(store.options && { backend: store.name, "backend-options": "-" }),
  };
  const words = [
    ...(store.options ? [`echo '${quotedJson(store.options)}' |`] : []),
    `deno run -A ${store.name === "kv" ? "--unstable-kv " : ""}jsr:@validmind/auth/cli login`,
    ...Object.entries(flags).map(([name, value]) => `--${name} ${quote(value)}`),
    ...(dpop ? ["--dpop"] : []),
  ];
  return `Sign in with\n  ${words.join(" ")}\n` +
    `or with validmind-auth login and the same flags, or run ${here}.`;
}

/** A store as the command line names it. */
interface NamedStore {
  name: string;
  /** Absent where the command line finds the store by itself. */
  options?: { path: string };
}

/** The name of a store; `undefined` where no command leads to it. */
function storeOf(backend: OidcCredentialsBackend): NamedStore | undefined {
  const { ownName, name: sharedName } = BACKEND_VARIABLES;
  const chosen = readEnvIfGranted(ownName) ?? readEnvIfGranted(sharedName);
  const isFile = backend instanceof FileCredentialsBackend;
  if (!isFile && !(backend instanceof KvCredentialsBackend)) {
    return chosen === undefined ? undefined : { name: chosen };
  }
  const name = isFile ? "file" : "kv";
  const isDefault = isFile && chosen === undefined && backend.path === defaultPath();
  return isDefault ? { name } : { name, options: { path: backend.path } };
}

function defaultPath(): string | undefined {
  return readEnvIfGranted(HOME_VARIABLE) === undefined ? undefined : credentialsPath();
}

/** JSON between single quotes of a shell. */
function quotedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("'", "\\u0027");
}

/**
 * An argument for a shell. It is in double quotes, which the shell of Windows knows too, where nothing
 * in it is special.
 */
function quote(value: string): string {
  if (/^[\w\-./:=@%+,]+$/.test(value)) return value;
  return /["$`\\!]/.test(value) ? `'${value.replaceAll("'", `'\\''`)}'` : `"${value}"`;
}

/** Whether the provider refused the refresh, which is the one definite answer. */
export function isRefusal(error: unknown): error is ValidMindAuthError & { answer?: string } {
  return error instanceof ValidMindAuthError && REFUSALS.includes(error.oauthError ?? "");
}

/** The error for an identity whose bearer is the ID token, without a valid one. */
export function noIdToken(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_missing",
    `Cannot get a token for ${issuer}: the ID token is to be the bearer, and the provider gave ` +
      `none that is valid. Ask for the scope "openid", or set bearer: "access_token".`,
  );
}

/** The error for a new ID token whose end is over by the clock of the session. */
export function hasEnded(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_invalid",
    `Cannot get a token for ${issuer}: the new ID token has ended by the clock here. Check this ` +
      `computer's clock, or the function that was given as the option "now".`,
  );
}
