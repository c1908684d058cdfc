import { quoteArgument } from "../../backends/common/platform.ts";
import { PROGRAM, SPECIFIER } from "./command.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { IDENTITY_FLAGS } from "./sign_in_target.ts";

/** Names of options and functions in messages, and the words of the command line for them. */
const WORDS: readonly (readonly [api: RegExp, cli: string])[] = [
  [/apiKey and apiSecret \((?:or )?(VM_API_KEY)(?:,| and) (VM_API_SECRET)\)/g, "$1 and $2"],
  [/\b(?:apiKey|apiSecret) \((VM_API_\w+)\)/g, "$1"],
  [/\bissuer and clientId\b/g, "--issuer and --client-id"],
  [/\bPass (?:clientId|client-id)\b/g, "Give --client-id"],
  [/\bPass issuer\b/g, "Give --issuer"],
  [/\bclientId\b/g, "--client-id"],
  [/\bissuer \(VM_OIDC_ISSUER\)/g, "--issuer (VM_OIDC_ISSUER)"],
  [/\bapiHost \(VM_API_HOST\)/g, "VM_API_HOST"],
  [/\bPass (?:apiKey|apiSecret), or set\b/g, "Set"],
  // Its flags are those of a script. The hint below the error leads to all of this program.
  [
    /^Cannot sign in: (Deno does not permit .*?)\. Run with\n[^]*$/g,
    "Cannot sign in: $1.",
  ],
  [/: (issuer|scope|listen) (is|has)\b/g, ": --$1 $2"],
  [/\bprofile \(VM_OIDC_PROFILE\)/g, "--profile (VM_OIDC_PROFILE)"],
  [/\b(?:[Ss]et|with) flow: "(\w+)"/g, "use --flow $1"],
  [/\bredirectUri\b/g, "--redirect-uri"],
  [/([(,] ?|\b[Gg]ive )listen\b/g, "$1--listen"],
  [
    /(\b(?:in )?)authorizationParameters\b(.*)\bUse the option for it\b/g,
    "$1--parameter$2Use its flag",
  ],
  [/\bauthorizationParameters\b/g, "--parameter"],
  [/\bloginHint\b/g, "--login-hint"],
  [/\bopenBrowser\b/g, "--open or --no-open"],
  [/\(dpop\)/g, "(--dpop)"],
  [/\b(set|needs) dpop: true/g, "$1 --dpop"],
  [/\bGive clientSecret, clientKeyFile or clientAssertionFile, or set/g, "Set"],
  [/\bclientSecret \((VM_OIDC_CLIENT_SECRET), beside/g, "$1 (beside"],
  [/\bclient(?:Secret|KeyFile|AssertionFile) \((VM_OIDC_\w+)\)/g, "$1"],
  [/\(client(?:Secret|KeyFile|AssertionFile), (VM_OIDC_\w+)\)/g, "($1)"],
  [/\bpass clientSecret, or set/g, "set"],
  [/\bflow: ?"(\w+)"/g, "--flow $1"],
  [/\bflow "client_credentials"/g, "--flow client_credentials"],
  [/Set bearer: "access_token", or leave dpop out/g, "Leave --dpop out"],
  [/, or set bearer: "access_token"/g, ""],
  [/\bPass two different stores\b/g, "Give another store in --to"],
  [/\bor pass the option "/g, 'or give in --backend-options the option "'],
  [/\bor pass the option\b/g, "or give the flag"],
  [
    /\bor pass credentialsBackend: new FileCredentialsBackend\(\{ path \}\)/g,
    "or give --backend file with --backend-options FILE, which names the path",
  ],
  [/, or import it in your own code and pass an instance: .*$/g, "."],
];

/**
 * A message of this module in words of the command line: flags instead of options.
 *
 * @param named The flags that name the sign-in in commands.
 */
export function inCliWords(
  message: string,
  flags: FlagValues | undefined,
  named: string = withoutProfile(valueFlags(flags, IDENTITY_FLAGS), flags),
): string {
  const store = storeFlags(flags);
  const unstable = typeof Deno.openKv === "function" ? " --unstable-kv" : ""; // as this process
  return WORDS.reduce((text, [api, cli]) => text.replaceAll(api, cli), message)
    .replaceAll(/\bRun login\./g, `Run: ${PROGRAM} login${named}${store}`)
    .replaceAll("clearOidcCredentials({ all: true })", `${PROGRAM} logout --all${store}`)
    .replaceAll("clearOidcCredentials()", `${PROGRAM} logout${named}${store}`)
    .replace(
      HOW_TO_SIGN_IN,
      (_, given?: string, dpop = "") => {
        const who = given === undefined ? named : withoutProfile(given, flags);
        const login = `login${who}${dpop}${store}`;
        return `Sign in with\n  ${PROGRAM} ${login}\n` +
          `or, without an installation, with\n  deno run -A${unstable} ${SPECIFIER} ${login}`;
      },
    )
    .replace(NOT_STORED, "give --login, or choose a backend that keeps tokens.");
}

/** The advice of `login_required`. The flags of this call name the store, as far as any do. */
const HOW_TO_SIGN_IN =
  /Sign in with(?: the program that made the store: run init.*|\n {2}.*deno run .* login(.*?)(?: --backend \S+ --backend-options -)?( --dpop)?\nor with .*)$/m;
const NOT_STORED = /run init\(\) in a notebook or a terminal\.$/;

/** A profile that a variable names would win over other variables, were it given as a flag. */
function withoutProfile(named: string, flags: FlagValues | undefined): string {
  return flags?.settings.isProfileByVariable ? named.replace(/ --profile \S+/, "") : named;
}

/** The flags of a call that choose its store, for another command on the same store. */
function storeFlags(flags: FlagValues | undefined): string {
  return valueFlags(flags, ["backend", "backend-options", "config"]);
}

/** The flags that name a sign-in as it is stored. */
export function identityFlags(
  { issuer, clientId, audience, profile, flow }: Partial<
    Record<"issuer" | "clientId" | "audience" | "profile" | "flow", string>
  >,
): string {
  return Object.entries({ issuer, "client-id": clientId, audience, profile, flow })
    .flatMap(([name, value]) => value === undefined ? [] : [` --${name} ${quoteArgument(value)}`])
    .join("");
}

function valueFlags(flags: FlagValues | undefined, names: readonly FlagName[]): string {
  return names.map((name) => {
    const value = flags?.text(name);
    return value === undefined ? "" : ` --${name} ${quoteArgument(value)}`;
  }).join("");
}
