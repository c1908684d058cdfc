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

const NEIGHBOUR = "behaviour/hostile_neighbour_test.ts:";
const ATTACK = "behaviour/sign_in/attacks_test.ts: attack:";
const ISOLATED = "backends/load/isolated_attack_test.ts: isolate,";
const UNWRITABLE = "behaviour/refresh/unwritable_store_test.ts:";
const RESERVED = "backends/file/reservations_test.ts: an entry that could not be stored";
const RESERVATION =
  "backends/file_reserve_test.ts: a reservation makes a closed file of the coming size";
const ID_TOKEN = `${ATTACK} ID token with …: refused, nothing is stored or shown`;
const SHOWN_PLAINLY = [
  "behaviour/secrecy/attacks_display_test.ts: attack: control characters in a device answer: none",
  "behaviour/secrecy/attacks_display_test.ts: attack: control characters in an error from …",
  "client/signed_in/session_test.ts: session: status shows no control characters",
];
const ECHOED = [
  "behaviour/secrecy/echo_test.ts: echo: the bearer … in an API's answer with …",
  "behaviour/secrecy/echo_test.ts: echo: the refresh token … of a refused refresh",
  "behaviour/storage/backend_error_test.ts: backend errors: the tokens of a written entry go",
  "backends/common/redact_test.ts: redact: a secret …",
];
const CUT_OFF = [
  "behaviour/sign_in/attacks_transport_test.ts: attack: 100 MiB from …: cut off",
  "behaviour/sign_in/attacks_transport_test.ts: attack: a body that comes in drops without end from",
];
const NO_REDIRECT = "behaviour/sign_in/attacks_transport_test.ts: attack: redirect with … from …";
const OWN_SECRET =
  "behaviour/sign_in/client_secret_test.ts: client secret: the variable's is not another client's";
const PYTHON = "backends/file/beside_python_test.ts:";
const BESIDE = "behaviour/refresh/beside_python_live_test.ts: beside Python:";
const OTHERS = [
  `${NEIGHBOUR} a file of another user signs nobody in, under …`,
  `${NEIGHBOUR} a link of another user is not followed, under …`,
  `${NEIGHBOUR} a named pipe in the file's place is refused at once`,
  `${NEIGHBOUR} a link to a device in the file's place is not read`,
  `${NEIGHBOUR} a lock file of another user is not locked, under …`,
  `${NEIGHBOUR} a planted kv.db… of another user gets no token`,
];

export const SECURITY: PagePromises = {
  promises: [
    [
      "`tests/behaviour/promises_test.ts` names a test",
      "behaviour/promises_test.ts: each sentence",
    ],
    ["No token, code or secret is in an error message", ...NOT_SHOWN],
    ["What a provider, an API or a third-party backend echoes", ...ECHOED],
    ["`requiredPermissions` gives all", ...EXACT_FLAGS],
    ["Nothing beyond it is asked for", ...EXACT_FLAGS],
    ["Nothing is asked for at import", "mod_test.ts: mod.ts: an import needs no permission"],
    ["The credentials file, the files of the Deno KV database and", ...PRIVATE],
    [
      "Files and links of another user, named pipes and devices",
      ...OTHERS,
      `${NEIGHBOUR} a Deno KV file in a folder that others can write is refused`,
    ],
    ["A credentials file of the superuser is read", OTHERS[0]!],
    [
      "The credentials file is replaced as a whole or not at all",
      "backends/file_process_test.ts: a reader never sees half a file while another process writes",
      "backends/file/replace_file_test.ts: replaceFile has the content on the disk before it is",
    ],
    ["The bearer goes to the origin of the API only", ...OWN_ORIGIN],
    [
      "The tokens of a refresh that a sign-out overtook",
      `${UNWRITABLE} sign-out during a refresh: its tokens are revoked, and nothing is stored`,
    ],
    ["Redirects of the token and device endpoints are not followed", NO_REDIRECT],
    ["Plain http is accepted for", ...LOOPBACK],
    ["`VM_OIDC_CLIENT_SECRET` goes to", OWN_SECRET],
    ["ID tokens are verified, at the sign-in and at each refresh", ID_TOKEN],
    [
      "A refreshed one is the same person's",
      `${ATTACK} ID token of another person at a refresh: refused`,
      `${ATTACK} stored ID token is …: no other is taken in its place`,
    ],
    ["A store that is locked, denied, full or corrupt is an error", ...STORE_TROUBLE],
    ['It is not taken for "not signed in"', ...STORE_TROUBLE],
    [
      "To read or write a fallback whose last store",
      "backends/fallback/copy_test.ts: a silent store is an error where it may hold a newer copy",
    ],
    ["Signing out removes the entry from the store", ...GONE],
    [
      "It deletes no store that it does not understand",
      `${NEIGHBOUR} a sign-out leaves a JSON file`,
    ],
    [
      "That takes `all: true`, which deletes no other user's file",
      "client/signed_in/sign_out_test.ts: clearOidcCredentials: all gets rid of a file that cannot",
      `${NEIGHBOUR} a sign-out leaves another user's credentials.json`,
    ],
    ["The temp file that a killed write left", `${NEIGHBOUR} the temp file of a killed write`],
    [
      "A refresh token stays unsent while the store",
      `${UNWRITABLE} unwritable store: the refresh token is not spent, and serves once there is space`,
    ],
    [
      "The successor has a reserved file (file, Deno KV file)",
      RESERVATION,
      "backends/kv/connect_file_test.ts: a reservation in a KV database keeps space",
      "backends/kv/connect_lease_test.ts: an announced refresh keeps its lease for longer",
      "backends/vault/lock_test.ts: …: an announced refresh keeps its lease for longer",
    ],
    [
      "Where the file backend cannot store it all the same",
      `${RESERVED} in the place of a spent one is stored by the next process`,
      `${RESERVED} goes with the sign-out of its key, and no other`,
      RESERVATION,
    ],
    [
      "With `isolate` it runs in a Worker or in a Deno of its own",
      "backends/load/isolated_backend_test.ts: isolate, …: an isolated backend reaches its own store",
      "backends/load/isolated_backend_test.ts: isolate, …: an isolated backend can neither read, write",
    ],
    [
      "A Worker keeps honest code within its grant",
      `${ISOLATED} …: the attack "…" is denied`,
      `${ISOLATED} worker: a signal reaches the main process, as the documentation says`,
    ],
    [
      "A process keeps hostile code within its grant",
      `${ISOLATED} …: the attack "…" is denied`,
      `${ISOLATED} process: it is ended when it would open the inspector`,
      "backends/load/isolated_transport_test.ts: without --allow-run of Deno, the error names the flag",
    ],
    [
      "A write that has resolved does",
      "backends/file/replace_file_test.ts: replaceFile has the content on the disk before it is",
    ],
    [
      "That takes read of it (for the default file of `HOME`)",
      "backends/file/replace_file_test.ts: each folder that gets a new name is synced, where Deno may",
      "backends/file/replace_file_test.ts: a folder that Deno may not read is left unsynced, without",
    ],
    [
      "Later writes sync the file and its folder",
      "backends/file/replace_file_test.ts: replaceFile has the content on the disk before it is",
    ],
    [
      "A write or a sign-out of this module that it undoes",
      `${PYTHON} a put that the first write of the Python library undoes is found by the next get`,
      `${PYTHON} a first put and a sign-out that the Python library undoes are made again`,
    ],
    [
      "Against that, a refresh first takes the refresh token out of the library",
      `${PYTHON} in the default file a row is hidden also where the Python library has never written`,
      `${PYTHON} a reservation hides the refresh token of a row that the Python library has written`,
    ],
    [
      "Where it has written, the refresh also waits a second",
      `${PYTHON} a reservation waits for the refresh that the Python library may have begun`,
      `${PYTHON} a later refresh of a process waits a moment for a first one of the Python library`,
    ],
    [
      "The library then removes the row",
      `${BESIDE} a refresh of the library that meets a fault signs out, though the grant lives`,
    ],
    [
      "Nothing tells that from a sign-out",
      `${BESIDE} a refusal of the library that comes after a refresh signs out`,
      `${BESIDE} a refusal of the library in the midst of a refresh ends the new tokens, too`,
      `${PYTHON} a sign-out does not come back by a write of the Python library, after a refresh`,
    ],
    [
      "The process keeps the new tokens and tries again",
      "client/tokens/store_test.ts: failed write after a rotation: told once, then usable",
    ],
    [
      "Signing out revokes tokens only when asked to",
      "client/tokens/clear_test.ts: clear: the entry is gone, the provider is not asked",
      "client/tokens/clear_test.ts: clear: a provider without revocation is told, and the entry is gone",
    ],
    [
      "another user of the host, also of the group |",
      ...OTHERS,
      `${NEIGHBOUR} a planted link in a lock file's place is not written through`,
      `${NEIGHBOUR} a lock file that others hold, open to all, does not keep the tokens`,
      `${NEIGHBOUR} a named pipe that comes between the look and the opening does not block`,
      `${NEIGHBOUR} a named pipe does not block a process that only reads the file either`,
    ],
    ["the network |", ...LOOPBACK, NO_REDIRECT, ...CUT_OFF],
    ["the provider |", ...SHOWN_PLAINLY, OWN_SECRET, ID_TOKEN, ...CUT_OFF],
    ["the API |", ...OWN_ORIGIN, ...ECHOED],
    ["a server for entries (Vault, KV Connect) |", ...STORE_TROUBLE, ...SHOWN_PLAINLY],
    [
      "a third-party backend, in the process |",
      "behaviour/storage/backend_error_test.ts: backend errors: a coded one of a stranger's with",
    ],
    [
      "who sets variables or options |",
      OWN_SECRET,
      "backends/resolve_credentials_backend_env_test.ts: options without a name are refused, and no",
    ],
    ["a reader of a saved notebook or a log |", ...NOT_SHOWN],
    [
      "With that permission, and so with `-A`",
      `${NEIGHBOUR} a closed file in its owner's folder is not the superuser's`,
    ],
    [
      "In the browser flow the arguments have only an address",
      "client/sign_in/browser_start_test.ts: browser start: …",
    ],
    [
      "On Linux with every permission",
      "client/sign_in/browser_start_test.ts: browser start: another user of the host does not",
    ],
    [
      "Elsewhere it leads the browser that asks first",
      "client/sign_in/browser_start_test.ts: browser start: a second browser ends the wait",
    ],
    [
      "No token is in the arguments in any case",
      "client/sign_in/dialog_test.ts: openBrowser: the page is one argument, and no shell sees it",
    ],
    ["access, refresh and ID token, with issuer", PRIVATE[0]!],
    ["the same | KV backend with a path", PRIVATE[1]!],
    ["the same | memory, and KV", "backends/memory_test.ts: two memory backends are two stores"],
    [
      "the same | keychain backend",
      "backends/keychain_live_test.ts: an entry stands under its key",
    ],
    [
      "the same | Vault backend",
      "backends/vault_conformance_live_test.ts: Vault with the documented policy, …",
    ],
    [
      "lock files: a process id |",
      PRIVATE[0]!,
      "backends/file/lock_test.ts: withFileLock gives up",
    ],
    [
      "the next content, while it is written",
      RESERVATION,
      "backends/file/replace_file_test.ts: replaceFile has the content on the disk",
    ],
    ["Secrets are given out by", ...NOT_SHOWN],
    ["No encryption is added to the file", PRIVATE[0]!],
    [
      "A client's secret, and what its key signs",
      "behaviour/sign_in/client_secret_test.ts: client secret: it is stored nowhere, and shown by",
      "behaviour/sign_in/client_key_test.ts: client key: an assertion is for no token endpoint on",
    ],
    [
      "They are never stored",
      "behaviour/sign_in/client_secret_test.ts: client secret: it is stored nowhere, and shown by",
      "behaviour/sign_in/client_credentials_test.ts: client_credentials: the token is stored under a",
    ],
    ["Network: the issuer", ...EXACT_FLAGS],
    ["Nothing else is asked and nothing is reported", ...EXACT_FLAGS],
    ["Checks: issuer, audience, expiry", ID_TOKEN],
    ["`acr`, `amr`, `auth_time`", "behaviour/sign_in/attacks_test.ts: ID token with …: taken, at"],
    [
      "Times are judged by the provider's clock",
      "behaviour/sign_in/clock_off_test.ts: clock off by … s, and no Date header",
      "behaviour/sign_in/clock_off_test.ts: a Date header set back by 16 minutes passes no ID token",
      "behaviour/sign_in/clock_off_test.ts: a Date header set back by 14 minutes passes an ID token",
    ],
    [
      "The stored end of an access token",
      "behaviour/sign_in/clock_off_test.ts: clock … by an hour: the stored end is the provider's",
    ],
    ["Sign-out removes the entry first", ...GONE],
    [
      "`oauth4webapi`, `@std/path` and `@std/fs`; `uqr`",
      "behaviour/dependencies_test.ts: dependencies: at run time there are those that SECURITY.md names",
      "mod_test.ts: mod.ts: an import loads nothing from npm and no Node module",
    ],
    ["`read` and `write` of the store to find", ...EXACT_FLAGS],
    ["`ffi` is needed for the OS keychain only", ...EXACT_FLAGS],
    ["Where granted, `TERM`", ...EXACT_FLAGS],
    [
      '`isolate: { as: "process" }` needs `run`',
      "backends/load/isolated_transport_test.ts: an isolated process needs --allow-run of Deno alone",
    ],
    [
      "in a Worker, with `isolate` |",
      `${ISOLATED} worker: a signal reaches the main process, as the documentation says`,
      `${ISOLATED} worker: it opens the inspector of the main process, as the documentation says`,
      `${ISOLATED} worker: a package's name carries a token out, as the documentation says`,
      `${ISOLATED} worker: standard input is open to it, as the documentation says`,
      `${ISOLATED} worker: its output is the main process's, as the documentation says`,
      `${ISOLATED} worker: a loop keeps the program from its end, as the documentation says`,
      `${ISOLATED} worker: … is open to it, as the documentation says`,
      `${ISOLATED} …: the attack "…" is denied`,
    ],
    [
      'in a process, with `isolate: { as: "process" }` |',
      `${ISOLATED} …: the attack "…" is denied`,
      `${ISOLATED} process: no package is asked for`,
      `${ISOLATED} process: a signal ends that process alone`,
      `${ISOLATED} process: it is ended when it would open the inspector`,
      `${ISOLATED} process: standard input of the main process is out of its reach`,
    ],
    [
      "A backend that names no permissions runs all the same",
      "client/signed_in/session_test.ts: session: status without ID token, refresh token and backend",
    ],
    [
      "A kernel of `validmind-auth jupyter install --narrow`",
      "notebooks/narrow_kernel_test.ts: a narrow kernel denies the rest by name, and goes on",
      "client/cli/commands/jupyter_test.ts: jupyter kernel: when the broker is killed",
    ],
  ],
  describes: [
    "Its cells are one process with the tokens",
    "It keeps code from a person's other files",
    "Deno calls its broker protocol",
    "Use Report a vulnerability",
    "Only the maintainers see it",
    "Please do not open an issue",
    "Say which version",
    "Fixes go into the newest release",
    "While the version is below 1.0",
    "A break of one of these",
    // What is not promised.
    "Their mode keeps other users out",
    "Where that matters use memory",
    "There the folder of the user's profile",
    "One that is named in `VM_OIDC_CREDENTIALS_BACKEND`",
    "Neither limits memory and processor time",
    "Who can set these variables",
    "What is said here about permissions",
    "The first write into a folder",
    "The sign-in is then missing",
    "A token in a process can be read",
    "A write of the library that falls between",
    "The library reads a refresh token once",
    "What remains is a refresh of the library",
    "A start of the library meanwhile",
    "There is no list of spent tokens",
    "This is left of it",
    "A file system cannot be made read-only",
    "programs of the same user",
    "Not defended, beside",
    "Denial of service by a neighbour",
    "Its own folder is looked at",
    "The superuser without `--allow-sys=uid`",
    "The device flow cannot tell",
    "Another user of the host who reads them",
    "Where others use such a host",
    "An older copy of an entry",
    "The names of things",
    "Vault's own token",
    "device code, PKCE verifier, API key and secret",
    "File modes do not apply on Windows",
    "Deno KV keeps removed bytes",
    "`revoke: true` makes them worthless",
    "It could sign a new one",
    "Dependencies at run time",
    "What each permission is for",
    "What a hostile backend module could do",
    "in the process (by argument",
    "in a notebook, without `isolate`",
    "What Deno does not protect against",
  ],
};
