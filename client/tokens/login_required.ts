import { isInKv } from "../../backends/common/marks.ts";
import { quoteArgument } from "../../backends/common/runtime.ts";
import { parametersOf } from "../api/demand.ts";
import { DEFAULT_SCOPE } from "../entry/bearer.ts";
import { type ApiDemand, ProviderUnavailableError, ValidMindAuthError } from "../errors.ts";
import { named, type OptionName, optionRow } from "../options/declaration.ts";
import type { TokenSourceOptions } from "./held_tokens.ts";

/**
 * The options that name a sign-in, and those of the call by which the browser comes back. The person's name
 * is not among them: errors are logged.
 */
const NAMING = [
  "issuer",
  "clientId",
  "audience",
  "profile",
  "flow",
  "scope",
  "dpop",
  "redirectUri",
  "listen",
] as const;

/**
 * The error where a person has to sign in and is not asked. It names the ways to do so.
 *
 * @param demand The demand of an API that the sign-in has to meet.
 */
export function loginRequired(
  options: TokenSourceOptions,
  reason: string,
  cause?: unknown,
  demand?: ApiDemand,
): ValidMindAuthError {
  const { identity, stored: { backend } } = options;
  const { redirectUri, listen } = options.call;
  const values = { ...identity, redirectUri, listen };
  const names = NAMING.filter((name) => values[name] && values[name] !== DEFAULT_SCOPE);
  const signIn = Object.fromEntries(names.map((name) => [name, values[name]!]));
  return new ValidMindAuthError("login_required", {
    action: `get a token for ${identity.issuer}`,
    reason,
    remedy: wayToSignIn(options, signIn, demand),
    cause,
    signIn: backend.persistent === false ? undefined : signIn,
  });
}

/** The ways to sign in to the same store. The command is safe in a folder that somebody else wrote. */
function wayToSignIn(
  { isFound, silencedBy, stored: { backend } }: TokenSourceOptions,
  signIn: NamedSignIn,
  demand?: ApiDemand,
) {
  const call = demand ? "session.signIn({ for: error })" : "init()";
  let [cause, without] = ["", ""];
  if (silencedBy !== undefined) {
    cause = `No person may be asked: ${silencedBy}. `;
    without = " without that setting";
  }
  const here = `run ${call} in a notebook or a terminal${without}.`;
  if (backend.persistent === false) return `${cause}Nothing is stored beyond this process: ${here}`;
  if (!isFound) return `${cause}Sign in with the program that made the store: ${here}`;
  const unstable = isInKv(backend) ? "--unstable-kv " : "";
  const command = `deno run -A --no-config ${unstable}jsr:@validmind/auth/cli login` +
    flagsFor(signIn) + demandFlags(demand);
  return `${cause}Sign in with\n  ${command}\nor with validmind-auth login and the same flags, or ${here}`;
}

/** The options of a sign-in, as a stored entry or an error names it. */
export type NamedSignIn = Readonly<Partial<Record<OptionName, unknown>>>;

/** The flags that name a sign-in. */
export function flagsFor(signIn: NamedSignIn): string {
  return Object.entries(signIn).map(([name, value]) =>
    argument(optionRow(name as OptionName).flag, value)
  ).join("");
}

/** A flag with its value, for a command. */
export function argument(flag: string | undefined, value: unknown): string {
  if (!flag || value === undefined || value === false) return "";
  return value === true ? ` --${flag}` : ` --${flag} ${quoteArgument(`${value}`)}`;
}

/** The flags that have a sign-in meet a demand. */
export function demandFlags(demand: ApiDemand = {}): string {
  const parameters = Object.entries(parametersOf(demand));
  return parameters.map((pair) => ` --parameter ${quoteArgument(pair.join("="))}`).join("");
}

/** The meaning of a refused refresh, or of one whose ID token failed its checks, in words. */
export function refusalWords(refused: ValidMindAuthError): string {
  const { code, kind, reason } = refused;
  if (code === "id_token_invalid") return `the refresh gave tokens that are not used: ${reason}`;
  if (kind === "over") return `the provider ended the sign-in: ${reason}`;
  return `the provider refused to refresh it: ${reason}`;
}

/** The error for new tokens of which none is a live bearer. */
export function noLiveBearer(
  { identity: { issuer }, bearer }: TokenSourceOptions,
): ValidMindAuthError {
  const action = `get a token for ${issuer}`;
  if (bearer === "access_token") {
    return new ProviderUnavailableError({
      action,
      reason: "the new access token had ended before it could be used",
      remedy:
        "Try again. If this comes back, check this computer's clock, and the lifetime of the " +
        "provider's access tokens.",
    });
  }
  return new ValidMindAuthError("id_token_missing", {
    action,
    reason: "the bearer is the ID token, and the provider gave none that is still valid by the " +
      "clock here",
    remedy: `Ask for the scope "openid", check this computer's clock, or set ` +
      `${named("bearer", "access_token")}.`,
  });
}
