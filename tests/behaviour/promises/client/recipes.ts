import type { PagePromises } from "../page_promises.ts";

const TOKEN = "client/cli/commands/token_test.ts: token:";
const PYTHON = "behaviour/storage/python_interop_test.ts:";
const HUB = "hub/hub_file_live_test.ts: JupyterHub:";
const PAGES = "pages_test.ts:";
const BUNDLE = "behaviour/bundle_test.ts:";
const COMPILE = "behaviour/compile_test.ts:";
const AUTO = "behaviour/sign_in/browser_instead_test.ts: browser instead: auto";
const CLIENT = "behaviour/sign_in/client_credentials_test.ts: client_credentials:";
const KEY = "behaviour/sign_in/client_key_test.ts: client key:";
const UNUSABLE = "behaviour/sign_in/client_key_unusable_test.ts: client key:";
const ASSERTION = "behaviour/sign_in/client_assertion_test.ts: client assertion:";
const SECRET = "behaviour/sign_in/client_secret_test.ts: client secret:";
const PROFILE = "behaviour/sign_in/profile_test.ts: profile:";
const SCOPES = "behaviour/sign_in/two_scopes_test.ts: two scopes:";
const DPOP = "behaviour/sign_in/dpop_test.ts: dpop:";

/** Recipes, other APIs, flows, jobs without a person, several sign-ins and bound tokens. */
export const RECIPES: PagePromises = {
  promises: [
    ["`-H @-` reads the header", "client/cli/recipes_test.ts: the recipe for curl"],
    [
      "For a program that wants the token itself",
      `${TOKEN} the bearer and a line end, and nothing else`,
    ],
    ["Sign in once as the user", "client/cli/recipes_test.ts: the recipe for a scheduled job"],
    [
      "`token` refreshes a token that is in the last tenth",
      `${TOKEN} what has ended is refreshed, and --refresh does it before`,
      "behaviour/refresh/short_token_test.ts: short token: a start from a stored one refreshes it",
      "client/entry_test.ts: isFresh: until 120 seconds, or a tenth of a short lifetime",
    ],
    [
      "A hub of this repository's tests runs by these",
      `${HUB} by the recipe for a file, in Chromium`,
      `${PAGES} the generated parts of … are what the code declares`,
    ],
    ["People then write `await vm.init(", `${HUB} by the recipe for a file, in Chromium`],
    [
      "The file in a person's home is the default store",
      "hub/hub_file_live_test.ts: JupyterHub, file: a sign-in in one language serves the other",
      "hub/hub_file_live_test.ts: JupyterHub, file: a person's tokens and notebooks are the person's",
    ],
    [
      "The Python library does not read the variables",
      "backends/resolve_credentials_backend_env_test.ts: the choice names the variables that it needs",
      "backends/load/backend_setting_test.ts: parseBackendSpec tells the Python library's form apart",
    ],
    [
      "A sign-in in the browser needs `c.JupyterHub",
      `${HUB} by the recipe for a file, in Chromium`,
    ],
    ["`setpriv` (of util-linux) ends", `${HUB} a kernel ends with its server`],
    [
      "An interrupt then ends a sign-in that waits",
      "notebooks/quickstart_test.ts: an interrupt of the kernel ends the wait",
    ],
    [
      "Without a store each kernel asks anew",
      "hub/hub_memory_live_test.ts: JupyterHub, memory: each kernel asks, and no token is on the disk",
    ],
    [
      "The hub's log may have the authorization code",
      `${HUB} a code in the hub's log signs nobody`,
    ],
    ["The code serves once", `${HUB} a code in the hub's log signs nobody in without its kernel`],
    ["It opens nothing of other people", `${HUB} nothing of another person comes by the hub's`],
    [
      "In a terminal of the hub `validmind-auth doctor`",
      "client/cli/commands/doctor_test.ts: doctor: all is well, the stored entry stays",
      "client/cli/doctor/check_hub_test.ts: doctor on a hub: the variables that the hub has set",
      "client/cli/doctor/check_hub_test.ts: doctor on a hub: whether the place of the tokens",
      "client/cli/doctor/check_hub_test.ts: doctor on a hub: the Deno kernels",
    ],
    [
      "As a bundle your script is one file",
      `${BUNDLE} a script that imports from JSR is one file as a bundle, which needs neither JSR`,
    ],
    ["Its permissions stay the same", `${BUNDLE} a stored start takes the permissions of modules`],
    [
      "Results, errors and names are those",
      `${BUNDLE} names, messages and permissions are those of modules`,
      `${BUNDLE} every store keeps, locks, reserves and lists`,
      `${BUNDLE} sign-in, stored start, refresh, request and sign-out`,
      `${BUNDLE} a sign-in in the browser`,
      `${BUNDLE} stores that the environment names`,
    ],
    [
      "`--keep-names` keeps the names",
      `${BUNDLE} a bundle with --keep-names keeps the names of the script's own classes`,
    ],
    [
      "The keychain's library is not in the bundle",
      "behaviour/bundle_live_test.ts: a minified bundle keeps tokens in the keychain",
    ],
    [
      "Deno takes it from its cache",
      `${BUNDLE} the keychain's library is found in Deno's cache, and only it is outside`,
    ],
    [
      "Nor is a backend that the environment names",
      `${BUNDLE} a module that the environment names, here and isolated`,
    ],
    [
      "`deno compile` makes a program",
      `${COMPILE} deno compile takes in the lazy parts of a script's modules, and a bundle`,
      `${COMPILE} a compiled script gives the results of its modules`,
    ],
    [
      'In it `isolate: { as: "process" }`',
      "backends/load/isolated_transport_test.ts: a compiled program has no Deno to run",
      `${COMPILE} the page names the package that takes the keychain's library`,
    ],
    [
      "A sign-in made in a terminal with `validmind-auth login`",
      "client/cli/commands/login_test.ts: login: asks on standard error, stores, and prints who",
      "client/prompt/stored_sign_in_test.ts: a notebook that finds a stored sign-in says who",
    ],
    [
      "The tokens are in `%USERPROFILE%",
      "backends/file_path_test.ts: credentialsPath uses the user's profile on Windows",
    ],
    [
      "`createSession()` does the same without ping",
      "client/init_test.ts: getSession: the session of the last init; createSession does not count",
      "client/options/bad_options_test.ts: createSession refuses init's own options, and names init",
    ],
    [
      "`flow` (`VM_OIDC_FLOW`, `--flow`) says",
      "client/options/resolve_options_test.ts: resolveOptions: flow …, variable",
      "client/cli/commands/client_flow_test.ts: client flow: login gets a token for the client",
    ],
    [
      "Left at `auto` it is the device flow",
      "client/sign_in/choose_flow_test.ts: flow: … is the device flow where the provider has it",
      `${AUTO} signs in where the provider offers no device flow`,
    ],
    [
      'With `flow: "client_credentials"`',
      `${CLIENT} by …, the client gets a token that the API takes`,
    ],
    [
      "Nobody is asked, there is no refresh token",
      `${CLIENT} tokens of a person in the answer are dropped`,
      `${CLIENT} the client is who is signed in`,
      `${CLIENT} each request is an event, and no event asks a person`,
    ],
    [
      "They serve confidential clients of people",
      `${SECRET} device, token, refresh and revocation requests have it`,
      `${KEY} it also proves the client of a person, in every request`,
      `${KEY} it proves the client of a person in the browser, too`,
    ],
    [
      "`clientSecret` (`VM_OIDC_CLIENT_SECRET`) |",
      `${SECRET} a provider that offers nothing gets the header`,
      `${SECRET} where the form is refused and the header is offered, the header is tried once`,
    ],
    [
      "`clientKeyFile` (`VM_OIDC_CLIENT_KEY_FILE`) |",
      `${KEY} kid and x5t#S256 of a JWK go into the header`,
    ],
    [
      "`clientAssertionFile` (`VM_OIDC_CLIENT_ASSERTION_FILE`) |",
      `${ASSERTION} a cluster's own issuer and subject name the client at a provider`,
    ],
    [
      "The files are read anew",
      `${KEY} a key that is renewed in its file is used at the next request`,
      `${ASSERTION} a renewed one is picked up, through the links of a cluster`,
    ],
    ["Links are followed", `${ASSERTION} a renewed one is picked up, through the links of a`],
    [
      "A file belongs to the superuser",
      `${UNUSABLE} only a regular file that is closed to others is read`,
    ],
    [
      "A key is PKCS#8 PEM",
      `${KEY} an … key as a JWK signs the client in`,
      `${KEY} an … key as PEM signs the client in`,
    ],
    [
      "The assertion's audience is the issuer",
      `${KEY} kid and x5t#S256 of a JWK go into the header, the issuer is the audience`,
      `${KEY} Microsoft Entra gets its token endpoint as the audience`,
    ],
    [
      "The token is stored like a person's",
      `${CLIENT} the token is stored under a key of its own, without a secret`,
      "behaviour/sign_in/client_stampede_test.ts: client_credentials: sixteen processes at once make",
    ],
    [
      "Without a store, `VM_OIDC_NO_PERSIST=1`",
      "client/init_test.ts: init: in memory only, by VM_OIDC_NO_PERSIST: no file, and kept",
    ],
    [
      "`scope` is sent only if it is given",
      `${CLIENT} scope and audience are asked for, and another scope is another token`,
    ],
    [
      "A refusal is `provider_refused` and says",
      `${CLIENT} a refusal names the client, and what to look at`,
      `${CLIENT} without a secret, key or assertion nothing is sent`,
      `${UNUSABLE} what cannot be used is told apart, and nothing is sent`,
      `${ASSERTION} wrong, ended, early and missing ones are told apart`,
    ],
    ["It is never `login_required`", `${CLIENT} … is provider_refused, never login_required`],
    [
      "`profile` keeps several sign-ins",
      `${PROFILE} two people at one client, at once in one process`,
      `${SCOPES} with a profile for each, both live on`,
    ],
    [
      "Each has an entry of its own",
      `${PROFILE} the next start finds the profile's entry, and only that`,
      `${PYTHON} Python reads what this module wrote`,
    ],
    [
      "Without profiles, one client and audience",
      `${SCOPES} a start whose scope the stored grant lacks signs in anew`,
      `${SCOPES} a session does not go over to a grant that lacks its scope`,
    ],
    ["`dpop: true` has the provider bind", `${DPOP} the tokens are of no use without the key`],
    [
      "The provider has to offer it",
      `${DPOP} a provider without it is an error before anybody is asked`,
      `${DPOP} tokens that are not bound are refused at sign-in`,
    ],
    [
      "The key is in the entry",
      `${DPOP} another process goes on with the same key`,
    ],
    [
      "Such an entry is one of its own",
      `${DPOP} switching it on or off takes no token of the other kind`,
      `${DPOP} a sign-out of the credential removes and revokes both kinds`,
    ],
  ],
  describes: [
    "These take `validmind-auth`, installed",
    "A refresh token that is not used for long",
    "In `jupyterhub_config.py`:",
    "Where the home does not outlive",
    "Tokens in Vault rather than in a file:",
    "[Vault and OpenBao](../backends/README.md#vault-and-openbao).",
    "The kernel for everybody",
    "`deno` has to be on their",
    // Seen on a hub; this module can only say it.
    "Without it a Deno kernel outlives",
    'With `"message"` a cell that waits',
    "What to know of a hub:",
    "Each kernel has the hub token",
    "A reload of the page during the wait",
    // Figures of the bench.
    "For a start from a stored token Deno reads more",
    "an empty script, for comparison |",
    "a script that reads and parses the file, likewise |",
    "this module, as modules |",
    "bundled |",
    "bundled with `--minify` |",
    "bundled with `--minify --code-splitting` |",
    "Medians as multiples",
    "Deno 2.9 still calls `deno bundle`",
    "A bundle keeps the release",
    "Install Deno and run `deno jupyter",
    "A VS Code that was not started",
    "In PowerShell:",
    "`setx VM_OIDC_ISSUER …`",
    "Commands in messages are for PowerShell",
    "Where its name has letters beyond ASCII",
    "`deno install` writes its own folder and the flags",
    "[What was run](../.github/RELIABILITY.md#what-was-run) tells",
    // Which flow where.
    "laptop, with a browser |",
    "SSH, container, cloud IDE |",
    "notebook on a hub |",
    "CI |",
    "Kubernetes |",
    "cron on a server |",
    "The client proves who it is by one",
    "`openssl genpkey",
    "Microsoft Entra | a secret, a certificate",
    "Auth0 | a Machine to Machine",
    "Okta | an API Services",
    'Keycloak | a client with "Client authentication" and',
    "In Kubernetes:",
    "A proof has this computer's time",
  ],
};
