/** Each sentence that promises something has a test, and each attack that SECURITY.md lists, too. */
import { assert, assertEquals } from "@std/assert";
import { rowsOf, sentencesOf } from "../support/page_sentences.ts";

const SECURITY = await Deno.readTextFile(new URL("../../.github/SECURITY.md", import.meta.url));
const README = await Deno.readTextFile(new URL("../../README.md", import.meta.url));

/** A file below `tests/`, and the name of a test in it; "…" stands for a part that varies. */
type TestName = readonly [file: string, name: string];

const NEIGHBOUR = "behaviour/hostile_neighbour_test.ts";
const ATTACKS = "behaviour/sign_in/attacks_test.ts";
const NOT_SHOWN: TestName[] = [
  [
    "behaviour/secrecy/client_test.ts",
    "secrecy: session, backend, status, result and errors over …",
  ],
  [
    "behaviour/secrecy/client_test.ts",
    "secrecy: console.log of everything, and the built-in prompt",
  ],
  ["behaviour/secrecy/backends_test.ts", "a … backend that holds tokens shows none, also while"],
  ["behaviour/secrecy/cli_test.ts", "secrecy: no command but token prints a piece of a token"],
  [
    "client/signed_in/session_test.ts",
    "session: in a notebook the same is shown, as text and as HTML",
  ],
];
const PRIVATE: TestName[] = [
  [
    "backends/file_mode_test.ts",
    "a file backend makes file and lock files 0600 and new folders 0700",
  ],
  [
    "backends/kv_file_test.ts",
    "a KV database and the files beside it are 0600 from their creation",
  ],
];
const OWN_ORIGIN: TestName[] = [
  ["client/api/transport_test.ts", "redirects: another origin does not get the API key"],
  ["client/api/client_test.ts", "api client: …"],
];
const LOOPBACK: TestName[] = [
  ["backends/common/hosts_test.ts", "loopback is localhost, 127.0.0.0/8 and [::1]"],
  ["client/provider/fetch_test.ts", "providerFetch: no secret goes over http: off loopback"],
];
const STORE_TROUBLE: TestName[] = [
  ["backends/fallback/stores_test.ts", "… is an error, whatever the other stores have"],
  [
    "backends/file_corrupt_test.ts",
    "a file that is … is an error without its content, and is left",
  ],
  [
    "behaviour/storage/backend_error_test.ts",
    "backend errors: … that quotes tokens is not passed on",
  ],
];

/** The beginning of each sentence, with its tests. */
const PROMISED: readonly (readonly [sentence: string, ...tests: TestName[]])[] = [
  ["No token, code or secret is in an error message", ...NOT_SHOWN],
  [
    "What a provider, an API or a third-party backend echoes",
    ["behaviour/secrecy/echo_test.ts", "echo: the bearer … in an API's answer with …"],
    ["behaviour/secrecy/echo_test.ts", "echo: the refresh token … of a refused refresh"],
    ["behaviour/storage/backend_error_test.ts", "backend errors: the tokens of a written entry go"],
    ["backends/common/redact_test.ts", "redact: a secret …"],
  ],
  ["`requiredPermissions` gives all", [
    "behaviour/permissions/permission_proof_test.ts",
    "permissions: …: what is declared is enough, and no less is",
  ]],
  ["Nothing beyond it is asked for", [
    "behaviour/permissions/permission_proof_test.ts",
    "permissions: …: Deno's audit log has nothing beyond",
  ]],
  ["Nothing is asked for at import", [
    "mod_test.ts",
    "mod.ts: an import needs no permission and has no effect",
  ]],
  ["The credentials file, the files of the Deno KV database and", ...PRIVATE],
  [
    "Files and links of another user, named pipes and devices",
    [NEIGHBOUR, "a file of another user signs nobody in, under …"],
    [NEIGHBOUR, "a link of another user is not followed, under …"],
    [NEIGHBOUR, "a named pipe in the file's place is refused at once"],
    [NEIGHBOUR, "a link to a device in the file's place is not read"],
    [NEIGHBOUR, "a lock file of another user is not locked, under …"],
    [NEIGHBOUR, "a planted kv.db… of another user gets no token"],
  ],
  ["A credentials file of the superuser is read", [NEIGHBOUR, "a file of another user signs"]],
  [
    "The credentials file is replaced as a whole or not at all",
    [
      "backends/file_process_test.ts",
      "a reader never sees half a file while another process writes",
    ],
    ["backends/file/replace_file_test.ts", "replaceFile has the content on the disk before it is"],
  ],
  ["The bearer goes to the origin of the API only", ...OWN_ORIGIN],
  ["The tokens of a refresh that a sign-out overtook", [
    "behaviour/refresh/unwritable_store_test.ts",
    "sign-out during a refresh: its tokens are revoked, and nothing is stored",
  ]],
  [
    "Redirects of the token and device endpoints are not followed",
    ["behaviour/sign_in/attacks_transport_test.ts", "attack: redirect with … from …: not followed"],
  ],
  ["Plain http is accepted for", ...LOOPBACK],
  ["`VM_OIDC_CLIENT_SECRET` goes to", [
    "behaviour/sign_in/client_secret_test.ts",
    "client secret: the variable's is not another client's",
  ]],
  [
    "ID tokens are verified, at the sign-in and at each refresh",
    [ATTACKS, "attack: ID token with …: refused, nothing is stored or shown"],
  ],
  [
    "A refreshed one is the same person's",
    [ATTACKS, "attack: ID token of another person at a refresh: refused"],
    [ATTACKS, "attack: stored ID token is …: no other is taken in its place"],
  ],
  ["A store that is locked, denied, full or corrupt is an error", ...STORE_TROUBLE],
  ['It is not taken for "not signed in"', ...STORE_TROUBLE],
  ["To read or write a fallback whose last store", [
    "backends/fallback/copy_test.ts",
    "a silent store is an error where it may hold a newer copy",
  ]],
  [
    "Signing out removes the entry from the store",
    ["client/tokens/clear_test.ts", "clear: a provider that is down cannot keep the entry"],
    ["client/tokens/clear_test.ts", "clear: a revocation that is refused is reported"],
  ],
  ["It deletes no store that it does not understand", [NEIGHBOUR, "a sign-out leaves a JSON file"]],
  [
    "That takes `all: true`, which deletes no other user's file",
    [
      "client/signed_in/sign_out_test.ts",
      "clearOidcCredentials: all gets rid of a file that cannot",
    ],
    [NEIGHBOUR, "a sign-out leaves another user's credentials.json"],
  ],
  ["The temp file that a killed write left", [NEIGHBOUR, "the temp file of a killed write"]],
  ["A refresh token stays unsent while the store", [
    "behaviour/refresh/unwritable_store_test.ts",
    "unwritable store: the refresh token is not spent, and serves once there is space",
  ]],
  [
    "The successor has a reserved file (file, Deno KV file)",
    ["backends/file_reserve_test.ts", "a reservation makes a closed file of the coming size"],
    ["backends/kv/connect_file_test.ts", "a reservation in a KV database keeps space"],
    ["backends/kv/connect_lease_test.ts", "an announced refresh keeps its lease for longer"],
    ["backends/vault/lock_test.ts", "…: an announced refresh keeps its lease for longer"],
  ],
  [
    "Where the file backend cannot store it all the same",
    [
      "backends/file/reserved_file_test.ts",
      "an entry that could not be stored in the place of a spent one is stored by the next process",
    ],
    [
      "backends/file/reserved_file_test.ts",
      "an entry that could not be stored goes with the sign-out of its key, and no other",
    ],
    ["backends/file_reserve_test.ts", "a reservation makes a closed file of the coming size"],
  ],
];

/** Sentences of README's section "Security". */
const README_PROMISES: typeof PROMISED = [
  ["Tokens are in a file of mode 0600", ...PRIVATE],
  ["No token is in a message, a log", ...NOT_SHOWN],
  ["A token goes to the API's own origin only", ...OWN_ORIGIN, ...LOOPBACK],
  ['A store that cannot be read is an error and never "not signed in"', ...STORE_TROUBLE],
  ["[SECURITY.md]", ["pages_test.ts", "the links of … lead somewhere"]],
];

/** Sentences of README outside that section. */
const README_CLAIMS: typeof PROMISED = [
  [
    "uses the stored token, refreshes it, or shows a link and a code",
    ["client/init_test.ts", "init: asks the person, pings with the bearer, and gives the session"],
    ["client/init_test.ts", "init: another process starts from the file with nothing but"],
  ],
  ["A file shared with the ValidMind Python library", [
    "behaviour/storage/python_interop_test.ts",
    "Python reads what this module wrote",
  ]],
  ["Each store and each sign-in runs with exact Deno flags", [
    "behaviour/permissions/permission_proof_test.ts",
    "permissions: …: what is declared is enough, and no less is",
  ]],
  ["go to standard error, so the script's own output stays clean", [
    "client/prompt/open_prompt_test.ts",
    "prompt in a log: plain lines on standard error, without any permission",
  ]],
  ["The entry is gone from the store whatever the network does", [
    "client/tokens/clear_test.ts",
    "clear: a provider that is down cannot keep the entry",
  ]],
  ["look at the permissions before any work", [
    "client/permissions/preflight_test.ts",
    "preflight: nothing is touched before the permissions are sure",
  ]],
  ["What is missing is asked for in a terminal", [
    "client/permissions/preflight_test.ts",
    "preflight: in a terminal the person is asked up front, with the reasons",
  ]],
  ["`init()` then fails at once with `login_required`", [
    "client/create_session_test.ts",
    "sign-in: interactive false fails without any request or write",
  ]],
  ["so your own credentials are neither read nor changed", [
    "demo/demo_test.ts",
    "the demo tells its story and prints no token",
  ]],
];

/** Sentences of the section for a review that promise more than the list above. */
const REVIEW_PROMISES: typeof PROMISED = [
  ["Secrets are given out by", ...NOT_SHOWN],
  [
    "A client's secret, and what its key signs",
    [
      "behaviour/sign_in/client_secret_test.ts",
      "client secret: it is stored nowhere, and shown by",
    ],
  ],
  ["It could sign a new one as well", [
    "behaviour/sign_in/clock_off_test.ts",
    "a Date header set back by 14 minutes passes an ID token of that age, and no bearer",
  ]],
  ["Sign-out removes the entry first", [
    "client/tokens/clear_test.ts",
    "clear: a provider that is down cannot keep the entry",
  ]],
  ["A backend that names no permissions runs all the same", [
    "client/signed_in/session_test.ts",
    "session: status without ID token, refresh token and backend details",
  ]],
];

const sources = new Map<string, Promise<string>>();

/** Fails unless the file has a test whose name begins so. */
async function assertTest([file, name]: TestName): Promise<void> {
  const url = new URL(`../${file}`, import.meta.url);
  if (!sources.has(file)) sources.set(file, Deno.readTextFile(url));
  const parts = name.split("…").map((part) => RegExp.escape(part));
  const pattern = new RegExp(`["\`]${parts.join('[^"`\\n]*')}`);
  assert(pattern.test(await sources.get(file)!), `${file} has no test "${name}"`);
}

async function assertPromises(
  promises: typeof PROMISED,
  sentences: string[],
  isComplete = true,
): Promise<void> {
  for (const [start, ...tests] of promises) {
    assertEquals(sentences.filter((text) => text.startsWith(start)).length, 1, start);
    for (const test of tests) await assertTest(test);
  }
  if (!isComplete) return;
  const without = sentences.filter((text) => !promises.some(([start]) => text.startsWith(start)));
  assertEquals(without, [], "without a test");
}

Deno.test("each promise of SECURITY.md has a test", async () => {
  const [, , ...sentences] = sentencesOf(SECURITY, "What is promised"); // two on the list itself
  await assertPromises(PROMISED, sentences);
  const review = sentencesOf(SECURITY, "For a security review");
  await assertPromises(REVIEW_PROMISES, review, false);
});

Deno.test("each promise of README's section on security has a test", async () => {
  await assertPromises(README_PROMISES, sentencesOf(README, "Security"));
});

Deno.test("what README claims elsewhere has a test", async () => {
  const words = README.replace(/\s+/g, " ");
  for (const [claim, ...tests] of README_CLAIMS) {
    assert(words.includes(claim), `README does not say "${claim}"`);
    for (const test of tests) await assertTest(test);
  }
});

Deno.test("each attack in SECURITY.md has a test", async () => {
  const rows = rowsOf(SECURITY, "Attacks");
  assert(rows.length >= 40, `${rows.length} rows`);
  for (const [attack, defence, test = ""] of rows) {
    assert(attack && defence, test);
    const [, file = "", name = ""] = /^`([^`]+)`: (.+)$/.exec(test) ?? [];
    await assertTest([file, name]);
  }
});

Deno.test("the check of a test's name fails for one that is not there", async () => {
  for (const name of ["no such test", "a planted … that does not exist"]) {
    const run = () => assertTest([NEIGHBOUR, name]);
    const failed = await run().then(() => false, () => true);
    assert(failed, name);
  }
});
