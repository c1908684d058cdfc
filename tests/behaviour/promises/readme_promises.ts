import {
  EXACT_FLAGS,
  GONE,
  LOOPBACK,
  NOT_SHOWN,
  OWN_ORIGIN,
  type PagePromises,
  PRIVATE,
  STORE_TROUBLE,
} from "./page_promises.ts";

const INIT = "client/init_test.ts: init:";
const OPTIONS = "client/options/resolve_options_test.ts: resolveOptions:";
const FROM_ENV = `${OPTIONS} all from the environment`;
const DEFAULTS = `${OPTIONS} defaults`;
const SESSION = "client/signed_in/session_test.ts: session:";
const NOTEBOOK = "notebooks/quickstart_test.ts: quickstart.ipynb";
const REFUSES = "client/options/bad_options_test.ts: init refuses";
const CLIENT_AUTH = "behaviour/sign_in/client_auth_test.ts: client authentication:";
const EXPLAINED = "pages_test.ts: the pages explain every error code";
const FIRST_ERROR =
  "behaviour/permissions/first_attempt_test.ts: the flags in the first error of README's script";
const FILE_STAYS =
  "backends/file_corrupt_test.ts: a file that is … is an error without its content";

export const README: PagePromises = {
  promises: [
    [
      "Signs people in notebooks, scripts and terminals in",
      `${INIT} asks the person, pings with the bearer, and gives the session`,
      `${NOTEBOOK} runs in a Deno kernel as a person has it`,
      "client/cli/commands/login_test.ts: login: asks on standard error, stores, and prints who it is",
    ],
    [
      "`await vm.init()` uses the stored token",
      `${INIT} asks the person, pings with the bearer, and gives the session`,
      `${INIT} another process starts from the file with nothing but`,
      "client/tokens/source_test.ts: tokens: a start from an expired entry refreshes it",
    ],
    [
      "A file shared with the ValidMind Python library, memory",
      "behaviour/storage/python_interop_test.ts: Python reads what this module wrote",
      "behaviour/storage/encrypted_session_test.ts: encrypted file: sign-in, start, refresh",
      "behaviour/storage/vault_live_test.ts: Vault: a sign-in, a refresh and a sign-out with a real",
      "behaviour/sign_in/keychain_live_test.ts: keychain, …: what is declared is enough, no less is",
    ],
    ["Each store and each sign-in runs with exact Deno flags", ...EXACT_FLAGS],
    [
      "Every variable is also an option",
      FROM_ENV,
      "behaviour/permissions/denied_variables_test.ts: denied variables: none is needed when options",
    ],
    ["Each fence is a cell", `${NOTEBOOK} runs in a Deno kernel as a person has it`],
    [
      "After the approval the cell says",
      `${NOTEBOOK} shows the answer, the session and the sign-out`,
    ],
    [
      "A cell that is run again",
      `${NOTEBOOK} runs in a Deno kernel as a person has it`,
      `${INIT} another process starts from the file with nothing but`,
    ],
    [
      "The link, the code and a QR code go to standard error",
      "client/prompt/open_prompt_test.ts: prompt in a log: plain lines on standard error, without any",
      "client/prompt/open_prompt_test.ts: prompt in a terminal: a code to scan, and a line that is",
    ],
    [
      "`openBrowser: true` also opens the page",
      "client/sign_in/dialog_test.ts: openBrowser: a sign-in opens the page with the code filled in",
    ],
    [
      "For any other API, `createSession()`",
      "client/api/client_test.ts: a path is taken relative to apiHost",
    ],
    [
      "`validmind-auth help` lists all commands",
      "client/cli/main_test.ts: main: help is --help, of the program and of a command",
      "client/cli/commands/doctor_test.ts: doctor: what cannot be reached is told with its reason",
    ],
    [
      "A [settings file]",
      "client/cli/settings/settings_file_test.ts: settings file: a regular file of this user is read",
      "client/cli/commands/config_test.ts: config: a settings file signs in, and every command finds",
    ],
    ["The entry is gone from the store whatever the network does", ...GONE],
    [
      "`createSession()` takes the same",
      "client/options/bad_options_test.ts: createSession refuses init's own options, and names init",
    ],
    ["`issuer`, `clientId` |", FROM_ENV, `${OPTIONS} options win over the environment`],
    [
      "`clientSecret` |",
      "behaviour/sign_in/client_secret_test.ts: client secret: device, token, refresh and revocation",
      "behaviour/sign_in/client_secret_test.ts: client secret: the variable does, and is read only",
    ],
    [
      "`clientKeyFile`, `clientAssertionFile` |",
      "behaviour/sign_in/client_key_test.ts: client key: an … key as PEM signs the client in",
      "behaviour/sign_in/client_assertion_test.ts: client assertion: one that another issuer has signed",
      `${CLIENT_AUTH} the variables do, for their own client alone`,
    ],
    [
      "`scope`, `audience` |",
      DEFAULTS,
      "client/tokens/source_test.ts: tokens: the audience goes on",
    ],
    [
      "`profile` |",
      "behaviour/sign_in/profile_test.ts: profile: VM_OIDC_PROFILE is its default, and an option is",
    ],
    ["`apiKey`, `apiSecret` |", "behaviour/sign_in/api_key_test.ts: API key: the ping carries key"],
    ["`apiHost` |", `${OPTIONS} the host of …`, ...OWN_ORIGIN],
    ["`credentialsBackend` |", `${INIT} without a choice the file in the home directory is used`],
    [
      "`isolate` |",
      "backends/load/isolated_backend_test.ts: isolate, …: an isolated backend can neither read, write",
    ],
    [
      "`bearer` |",
      "client/options/resolve_identity_test.ts: bearerKind: …",
      "behaviour/sign_in/bearer_test.ts: bearer: an ID token goes on requests",
      "behaviour/sign_in/bearer_test.ts: bearer: the access token of the same entry",
    ],
    [
      "`dpop` |",
      "behaviour/sign_in/dpop_test.ts: dpop: sign-in, call and refresh with one key",
      DEFAULTS,
    ],
    [
      "`flow` |",
      `${OPTIONS} flow …`,
      "client/sign_in/choose_flow_test.ts: flow: … is the device flow where the provider has it",
    ],
    [
      "`interactive` |",
      `${OPTIONS} interactive …`,
      "client/create_session_test.ts: sign-in: interactive false fails without any request or write",
    ],
    [
      "`openBrowser` |",
      DEFAULTS,
      "client/sign_in/dialog_test.ts: openBrowser: a sign-in opens the page with the code filled in",
      "client/sign_in/browser_test.ts: browser flow: a person signs in, and the browser says so",
    ],
    [
      "`redirectUri`, `listen`, `loginHint`",
      "client/options/browser_options_test.ts: browser options: … is refused before any work",
      "client/sign_in/browser_test.ts: browser flow: the request has PKCE, state, nonce, scope",
    ],
    ["`onDeviceCode` |", "behaviour/sign_in/announce_test.ts: announce: a prompt of the caller's"],
    [
      "`onEvent` |",
      "behaviour/sign_in/events_test.ts: events: a sign-in, from its start to the store",
      "behaviour/sign_in/events_test.ts: events: a refresh, one that is joined, one that fails",
      NOT_SHOWN[0]!,
    ],
    [
      "`signal`, `timeoutMs`, `fetch`",
      `${INIT} an aborted signal ends it before anything happens`,
      "client/provider/fetch_test.ts: providerFetch: the time limit covers the wait for an answer",
      `${OPTIONS} a clock that is given measures the waits, too`,
      DEFAULTS,
    ],
    [
      "`model`, `document`, `monitoring` |",
      `${INIT} monitoring and document are sent when they are given`,
      "client/options/resolve_options_test.ts: resolveInitOptions: the model's options and defaults",
    ],
    [
      "`get(path)`, `post(path, options)` |",
      "client/api/client_test.ts: a path is taken relative to apiHost",
      "client/api/client_test.ts: json is sent as JSON, whatever the value",
    ],
    ["`fetch(input, init)` |", ...OWN_ORIGIN],
    [
      "`accessToken()` |",
      "client/entry_test.ts: isFresh: until 120 seconds, or a tenth of a short lifetime, before the end",
      "client/tokens/source_test.ts: tokens: before the skew nothing is asked",
    ],
    ["`headers()` |", `${SESSION} headers have the bearer, and with init the model's`],
    [
      "`status()` |",
      `${SESSION} status tells who, until when, and where, without network`,
      NOT_SHOWN[0]!,
    ],
    [
      "`dropPermissions()` |",
      "client/permissions/prepare_session_test.ts: a session drops the variables, and goes on to",
      "client/permissions/prepare_session_test.ts: a session that will not refresh drops the store",
    ],
    ["`clear({ revoke })` |", "client/tokens/clear_test.ts: clear: revoke ends both tokens"],
    ["`close()` |", `${SESSION} await using closes it, and leaves the backend open`],
    [
      "A later cell or another module gets the session",
      "client/init_test.ts: getSession: the session of the last init; createSession does not count",
    ],
    [
      "`FileCredentialsBackend` (default) |",
      `${INIT} without a choice the file in the home directory is used`,
      `${INIT} another process starts from the file`,
    ],
    [
      "`MemoryCredentialsBackend` |",
      "backends/memory_test.ts: two memory backends are two stores, and neither lasts",
    ],
    [
      "`KvCredentialsBackend()` |",
      "backends/kv_test.ts: a KV backend in memory gives back what was put, without any permission",
    ],
    [
      "`KvCredentialsBackend({ path })` |",
      "backends/kv_file_test.ts: a KV database and the files beside it are 0600 from their creation",
      "backends/kv_hosts_live_test.ts: hosts that share a KV server take turns, whatever their clocks",
    ],
    ["`./backends/keychain` |", "backends/keychain_live_test.ts: entries survive a restart of the"],
    [
      "`./backends/vault` |",
      "backends/vault_conformance_live_test.ts: Vault with the documented policy, …",
    ],
    [
      "`./backends/encrypted` |",
      "behaviour/storage/encrypted_session_test.ts: encrypted file: sign-in, start, refresh",
    ],
    [
      "`./backends/fallback` |",
      "behaviour/storage/encrypted_session_test.ts: fallback: without the first store a person",
    ],
    [
      "a class of yours |",
      "backends/load/import_backend_test.ts: a class is constructed with the options, from an",
    ],
    [
      "A platform team can choose without",
      "client/tokens/login_required_test.ts: a file that the environment names",
      "backends/load/backend_setting_test.ts: parseBackendSpec knows the built-in names, exactly",
    ],
    [
      "`init()` and `createSession()` look at the permissions before any work",
      "client/permissions/preflight_test.ts: preflight: nothing is touched before the permissions are",
    ],
    [
      "What is missing is asked for in a terminal",
      "client/permissions/preflight_test.ts: preflight: in a terminal the person is asked up front",
      FIRST_ERROR,
    ],
    [
      "The quick start's script, with the default store",
      "pages_test.ts: the generated parts of … are what the code declares",
      FIRST_ERROR,
    ],
    [
      'With `flow: "client_credentials"` a job signs in',
      "behaviour/sign_in/client_credentials_test.ts: client_credentials: by …, the client gets a token",
      "behaviour/sign_in/client_assertion_test.ts: client assertion: a renewed one is picked up",
    ],
    [
      "Sign in once as the user that runs the job",
      "client/cli/commands/token_test.ts: token: asks nobody: without a sign-in it is exit code 4",
    ],
    [
      "`init()` then fails at once with `login_required`",
      "client/create_session_test.ts: sign-in: interactive false fails without any request or write",
      "client/tokens/login_required_test.ts: the command in login_required signs in there: …",
    ],
    ["`VM_OIDC_ISSUER`, `VM_OIDC_CLIENT_ID` |", FROM_ENV],
    [
      "`VM_OIDC_CLIENT_KEY_FILE`, `VM_OIDC_CLIENT_ASSERTION_FILE` |",
      `${CLIENT_AUTH} the variables do, for their own client alone`,
    ],
    [
      "`VM_OIDC_CLIENT_SECRET`, `VM_OIDC_SCOPE`, `VM_OIDC_AUDIENCE` |",
      FROM_ENV,
      "behaviour/sign_in/client_secret_test.ts: client secret: the variable does, and is read only",
    ],
    ["`VM_OIDC_PROFILE` |", "behaviour/sign_in/profile_test.ts: profile: VM_OIDC_PROFILE is its"],
    [
      "`VM_OIDC_CREDENTIALS_BACKEND`, `VM_OIDC_CREDENTIALS_BACKEND_KWARGS` |",
      "backends/load/backend_setting_kwargs_test.ts: KWARGS keep every kind of JSON value",
    ],
    [
      "`VM_OIDC_NO_PERSIST` |",
      "backends/resolve_credentials_backend_env_test.ts: VM_OIDC_NO_PERSIST=… gives memory",
    ],
    ["`VM_OIDC_FLOW` |", `${OPTIONS} flow …`, `${REFUSES} an unknown VM_OIDC_FLOW`],
    [
      "`VM_OIDC_INTERACTIVE` |",
      "client/create_session_test.ts: sign-in: VM_OIDC_INTERACTIVE=… does, too",
    ],
    ["`VM_API_KEY`, `VM_API_SECRET` |", FROM_ENV],
    ["`VM_API_HOST` (or `VM_API_URL`, which wins)", `${OPTIONS} the host of …`],
    ["`VM_API_TIMEOUT` |", FROM_ENV, DEFAULTS],
    [
      "Any OpenID Provider with the device flow",
      "behaviour/sign_in/provider_matrix_test.ts: provider matrix: …",
      "behaviour/sign_in/deviations_test.ts: deviation: device answer with …: signs in after",
    ],
    [
      "Every error says what could not be done",
      "behaviour/errors_test.ts: errors: each message in the source says first what could not be done",
    ],
    [
      "[Messages](.github/MESSAGES.md) quotes them",
      "messages/messages_test.ts: messages: the page has the … as they are told, and each command works",
    ],
    [
      "Programs tell errors apart by `code`",
      `${REFUSES} …: …`,
      EXPLAINED,
    ],
    ["`permission_required` |", FIRST_ERROR],
    [
      "`login_required` |",
      "client/tokens/login_required_test.ts: the command in login_required signs in there: …",
    ],
    [
      "`missing_api_credentials` |",
      `${REFUSES} …: …`,
    ],
    [
      "`provider_unavailable` |",
      "client/tokens/source_test.ts: tokens: … at the refresh keeps the entry and is told",
    ],
    ["`provider_refused` |", "behaviour/sign_in/client_secret_test.ts: client secret: a wrong one"],
    [
      "`device_flow_unsupported` |",
      "client/sign_in/choose_flow_test.ts: flow: device never turns to the browser, even after …",
    ],
    [
      "`client_auth_unusable` |",
      "behaviour/sign_in/client_key_unusable_test.ts: client key: what cannot be used is told apart",
    ],
    [
      "`flow_unsupported` |",
      "client/sign_in/choose_flow_test.ts: flow: … is the device flow where the provider has it",
    ],
    [
      "`device_code_expired` |",
      "behaviour/sign_in/deviations_test.ts: deviation: no expired_token",
    ],
    ["`unauthorized` |", "behaviour/refresh/unauthorized_test.ts: 401: a second one is the answer"],
    ["`backend_denied` |", "behaviour/hostile_neighbour_test.ts: a file of another user signs"],
    ["`backend_corrupt` |", FILE_STAYS],
    ["Tokens are in a file of mode 0600", ...PRIVATE],
    ["No token is in a message, a log", ...NOT_SHOWN],
    ["A token goes to the API's own origin only", ...OWN_ORIGIN, ...LOOPBACK],
    ['A store that cannot be read is an error and never "not signed in"', ...STORE_TROUBLE],
    [
      "The demo starts a real OpenID Provider",
      "demo/demo_test.ts: the demo tells its story and prints no token",
    ],
    [
      "It uses a temporary home, so your own credentials",
      "demo/demo_test.ts: the demo tells its story and prints no token",
    ],
    [
      "It needs Deno 2.7.1 or newer",
      "behaviour/old_deno_test.ts: each way into the module names the Deno that it needs",
      "behaviour/old_deno_test.ts: the command line names it, too",
      "behaviour/oldest_deno_live_test.ts: the oldest Deno signs in, refreshes, starts again",
    ],
    [
      "[Node and Bun](client/README.md#node-and-bun) run a part",
      "behaviour/second_runtime_live_test.ts: …: a sign-in, a refresh, requests and a sign-out",
    ],
  ],
  describes: [
    "It is made for [ValidMind]",
    "Or import `jsr:@validmind/auth`",
    "Set where to sign in",
    "The provider has to allow the device flow",
    "[Providers](client/README.md#providers) says",
    "Where it is forbidden",
    "A Deno kernel runs with every permission",
    "The [reference]",
    "[Where tokens are kept]",
    "Two ways to know them before",
    "[Permissions](client/README.md#permissions) lists",
    "[jobs without a person]",
    "A job that acts for a person",
    "`interactive: false` does the same in code",
    "[Recipes]",
    "[Environment]",
    "Vault's variables",
    "All codes",
    "[of a sign-in]",
    "[SECURITY.md]",
    "On a machine with Node and npm",
    "The first run downloads",
    "[CONTRIBUTING.md]",
    "MIT licence",
  ],
};
