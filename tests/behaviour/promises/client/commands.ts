import { EXACT_FLAGS, type PagePromises } from "../page_promises.ts";

const SESSION_DROPS = "client/permissions/prepare_session_test.ts:";
const MAIN = "client/cli/main_test.ts: main:";
const TOKEN = "client/cli/commands/token_test.ts: token:";
const STATUS = "client/cli/commands/status_test.ts: status:";
const LOGIN = "client/cli/commands/login_test.ts: login:";
const LOGOUT = "client/cli/commands/logout_test.ts: logout:";
const CONFIG = "client/cli/commands/config_test.ts: config:";
const COMPILE = "support/compile_cli_test.ts:";
const EXPLAINED = "pages_test.ts: the pages explain every error code";

/** Permissions, errors and the command line. */
export const COMMANDS: PagePromises = {
  promises: [
    [
      "The same for your own options, as flags",
      "client/format_permissions_test.ts: formatPermissionFlags: a shell and Deno understand",
      "client/format_permissions_test.ts: formatPermissionSet: Deno grants what it says",
    ],
    [
      "`{ discover: true }` asks",
      "client/required_permissions_test.ts: requiredPermissions: discover names the endpoints on",
    ],
    [
      "A path with a comma cannot",
      "client/format_permissions_test.ts: formatPermissionFlags: a comma cannot be written",
      "client/format_permissions_test.ts: formatPermissionSet: Deno grants what it says, also with",
    ],
    [
      "A session can give up what it does not need",
      `${SESSION_DROPS} a session drops the variables, and goes on to call and to refresh`,
      `${SESSION_DROPS} a session that will not refresh drops the store and the provider, too`,
    ],
    [
      "In a notebook the kernel starts with every permission",
      `${SESSION_DROPS} of a grant of everything nothing narrow can be taken`,
    ],
    [
      "`dropPermissions({ all: true })` gives up",
      `${SESSION_DROPS} as in a notebook kernel, whole kinds go with`,
      `${SESSION_DROPS} a session in a kernel that will refresh keeps its files`,
    ],
    [
      "It cannot narrow the network",
      `${SESSION_DROPS} as in a notebook kernel, whole kinds go with`,
    ],
    ["`permission_required` |", ...EXACT_FLAGS],
    [
      "`login_required` |",
      "client/tokens/login_required_test.ts: the command in login_required signs in there: …",
    ],
    [
      "`provider_unavailable` |",
      "client/tokens/source_test.ts: tokens: … at the refresh keeps the entry and is told",
    ],
    [
      "`provider_refused` |",
      "client/provider/oidc_provider_test.ts: OidcProvider: a refusal tells code, words and issuer",
      "client/provider/error_test.ts: refusal of …: … …: says what to do",
    ],
    [
      "`prompt_failed` |",
      "client/sign_in/device_faults_test.ts: device flow faults: a prompt that … ends it",
      "client/sign_in/browser_test.ts: browser flow: a prompt that … ends it",
    ],
    [
      "`address_refused` |",
      "client/sign_in/browser_test.ts: browser flow: … is refused in place of the address",
    ],
    [
      "`credentials_not_stored` |",
      "client/tokens/store_test.ts: failed write after a rotation: told once, then usable, written",
      `${TOKEN} new tokens that could not be stored are printed, with a warning`,
    ],
    [
      "`wrong_origin` |",
      "client/api/client_test.ts: another origin gets nothing",
    ],
    [
      "`unauthorized`, `api_error` |",
      "behaviour/refresh/unauthorized_test.ts: 401: a second one is",
    ],
    [
      "What they say at typical faults",
      "messages/messages_test.ts: messages: the page has the … as they are told, and each command",
    ],
    ["The errors of the store, `CredentialsBackendError`", EXPLAINED],
    [
      "Installed, it is `validmind-auth`",
      "package_test.ts: the command line runs as a person runs it",
    ],
    [
      "In place of `-A`, `permissions --for cli`",
      "package_test.ts: the command line is installed with the flags that it names itself",
      "client/cli/commands/permissions_test.ts: permissions: Deno KV comes with its unstable flag",
    ],
    [
      "`deno task compile`, in a copy",
      `${COMPILE} deno task compile: the program holds the command line, the keychain's library`,
    ],
    [
      "It may read and write files, use the network",
      `${COMPILE} deno task compile: no program may be run but the one that opens the browser`,
    ],
    [
      "A release has it for Linux and macOS",
      `${COMPILE} the release workflow builds the program for each target`,
    ],
    [
      "[The reference](#reference-of-the-command-line) has all",
      "pages_test.ts: the generated parts of … are what the code declares",
      `${MAIN} … --help names its flags, exit codes and an example`,
    ],
    [
      "Results go to standard output",
      `${LOGIN} asks on standard error, stores, and prints who it is`,
      `${TOKEN} --login asks on standard error, so that the token stands alone`,
      `${MAIN} without a command the help goes to standard error, and the exit code is 2`,
    ],
    [
      "With `--json` an error is one line",
      `${MAIN} an error names the help of the command; with --json it is one line of JSON`,
    ],
    [
      "Only `token` prints a token",
      "behaviour/secrecy/cli_test.ts: secrecy: no command but token prints a piece of a token",
    ],
    [
      "It never asks a person unless `--login`",
      `${TOKEN} asks nobody: without a sign-in it is exit code 4, and says what to run`,
      `${TOKEN} --login asks on standard error, so that the token stands alone`,
    ],
    ["`status` uses no network", `${STATUS} who, until when and where, without network`],
    [
      "`status --json` gives `signed_in`",
      `${STATUS} who, until when and where, without network`,
      `${STATUS} a profile, and tokens that are bound to a key, are sign-ins of their own`,
      `${STATUS} the granted scope beside the asked one, and the end without offline_access`,
    ],
    [
      "`login` keeps a stored sign-in that serves",
      `${LOGIN} a sign-in that serves is named, with its end and the way to another`,
      `${LOGIN} --force asks again, and replaces the entry only once`,
      `${LOGIN} --open opens the page in the browser, with the permission`,
    ],
    [
      "`list` shows every sign-in",
      "client/cli/commands/list_test.ts: list: each sign-in with provider, client, profile and end",
    ],
    [
      "`logout --all` removes them all",
      `${LOGOUT} --all asks in a terminal, and`,
      `${LOGOUT} --all --yes asks nothing in a terminal`,
    ],
    [
      "Only `--all` deletes a store",
      `${LOGOUT} a damaged store stays, and the error names the command that deletes it`,
      `${LOGOUT} --all in a terminal names a store that cannot be read before it is deleted`,
    ],
    [
      "`--backend` takes the place",
      `${LOGIN} a backend gets its options from a file or standard input, with variables`,
    ],
    [
      "Its options come from a JSON file",
      `${LOGIN} a backend gets its options from a file or standard input, with variables`,
    ],
    [
      "`config` shows the settings that apply",
      `${CONFIG} shows what applies, and from where, without a secret`,
      `${CONFIG} an error tells which settings of the file apply`,
    ],
    [
      "No secret is taken as an argument",
      "client/cli/parse_command_line_test.ts: parse: … is refused as a secret, and its value is not",
    ],
    [
      "`validmind-auth completions bash`",
      "client/cli/commands/completions_test.ts: completions: bash offers commands, flags and values",
      "client/cli/commands/completions_test.ts: completions: fish offers commands, flags and values",
      "client/cli/commands/completions_test.ts: completions: zsh understands the script",
    ],
  ],
  describes: [
    // What to do about each code; that each is explained is a test of its own.
    "`invalid_options` |",
    "`conflicting_credentials` |",
    "`missing_api_credentials` |",
    "`missing_model` |",
    "`insecure_url` |",
    "`no_active_session` |",
    "`session_closed` |",
    "`no_access_token` |",
    "`provider_invalid` |",
    "`device_flow_unsupported` |",
    "`client_auth_unusable` |",
    "`flow_unsupported` |",
    "`device_code_denied` |",
    "`device_code_expired` |",
    "`authorization_denied` |",
    "`authorization_expired` |",
    "`redirect_unavailable` |",
    "`id_token_invalid` |",
    "`id_token_missing` |",
    "`dpop_unsupported` |",
    "`dpop_request_needed` |",
    "`api_unreachable` |",
    // The command line.
    "`jsr:@validmind/auth/cli` is the same",
    "Without an installation:",
    "`deno run -A jsr:@validmind/auth/cli login`",
    "One program that needs no Deno:",
    "A backend of your own needs Deno",
    "[What was run](../.github/RELIABILITY.md#what-was-run) says how far",
    "So `login 2>/dev/null` would wait",
    "Completions:",
  ],
};
