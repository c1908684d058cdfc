import { assert, assertEquals } from "@std/assert";
import { dirname } from "@std/path";
import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
import { parseCommandLine } from "../../../client/cli/parse_command_line.ts";
import { settingsOf } from "../../../client/cli/settings_in_force.ts";
import { sessionOptions } from "../../../client/cli/sign_in_target.ts";
import { SETTINGS_FILE, withSettings } from "../../../client/options/resolve_options.ts";
import { parseSettings, valuesOf } from "../../../client/options/settings_file.ts";
import { OwnEnv, withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, makePipe, sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

const PATH = "/home/ada/.validmind/settings.json";
const A = { issuer: "https://a.example", clientId: "app" };
const B = { issuer: "https://b.example", clientId: "two" };

const posixTest = testWith({ ignore: !isPosix }, "settings: ");

posixTest("a relative path is taken from the folder of the file", () => {
  const entry = { clientKeyFile: "keys/app.pem", backend: "./store.ts:Store" };
  const { common } = parseSettings(PATH, JSON.stringify(entry));
  assertEquals(common.clientKeyFile, "/home/ada/.validmind/keys/app.pem");
  assertEquals(common.backend, "/home/ada/.validmind/store.ts:Store");
  const beside = parseSettings("x.json", JSON.stringify(entry)).common;
  assertEquals(beside.clientKeyFile, "keys/app.pem");
  const absolute = { clientAssertionFile: "/run/token", backend: "jsr:@acme/s:Store" };
  assertEquals(parseSettings(PATH, JSON.stringify(absolute)).common, absolute);
});

const SECRET = "s3cr3t-of-somebody";

const REFUSED: [document: unknown, ...words: string[]][] = [
  [[], "not an object"],
  [null, "not an object"],
  [{ profiles: 7 }, '"profiles" is not an object'],
  [{ profiles: { two: 1 } }, 'in the profile "two": its options are not an object'],
  [{ profile: "x" }, 'unknown option "profile"'],
  [{ client_id: "x" }, '"client_id"', 'Did you mean "clientId"?'],
  [{ colour: "x" }, '"colour"', "It takes: issuer"],
  [
    { profiles: { two: { isuer: "x" } } },
    'the profile "two": unknown option "isuer"',
    'Did you mean "issuer"?',
  ],
  [{ onEvent: "x", model: "x" }, '"onEvent"', "It takes: issuer, clientId"],
  [JSON.parse('{"__proto__": {}}'), '"__proto__"'],
  [{ constructor: "x" }, '"constructor"'],
  [{ issuer: 7 }, '"issuer" is not a string'],
  [{ issuer: "" }, '"issuer" is empty'],
  [{ flow: "divice" }, '"flow" is not one of auto, device'],
  [{ openBrowser: "yes" }, '"openBrowser" is not a boolean'],
  [{ backend: "kv", backendOptions: "x" }, '"backendOptions"', "not an object"],
  [{ authorizationParameters: { a: 1 } }, "object of strings"],
  [{ backendOptions: {} }, '"backendOptions"', 'no "backend" beside'],
  [{ clientSecret: SECRET }, '"clientSecret" is a secret', "VM_OIDC_CLIENT_SECRET"],
  [{ apiKey: SECRET }, '"apiKey"', "VM_API_SECRET"],
  [{ profiles: { two: { refresh_token: SECRET } } }, '"refresh_token"', "not for secrets"],
  [{ backend: "vault", backendOptions: { auth: { token: SECRET } } }, '"${MY_SECRET}"'],
  [{ backend: "vault", backendOptions: { auth: { secretId: `\${A}${SECRET}` } } }, '"secretId"'],
  [{ backend: "fallback", backendOptions: { backends: [{ passphrase: SECRET }] } }, '"passphrase"'],
];

Deno.test("settings: what cannot be used is refused, by file and key", async () => {
  for (const [document, ...words] of REFUSED) {
    const run = () => parseSettings(PATH, JSON.stringify(document));
    const place = `Cannot use the settings file ${PATH}`;
    const { message } = await rejectsWith("settings_invalid", run, place, ...words);
    assert(!message.includes(SECRET.slice(0, 8)), message);
  }
});

Deno.test("settings: a slip of the pen is told by its line, without the text there", async () => {
  const text = `{\n  "issuer": "https://a.example"\n  "audience": "${SECRET}"\n}`;
  const parse = (text: string) => () => parseSettings(PATH, text);
  const words = "it is not JSON (line 3 column 3). Write it like";
  const { message } = await rejectsWith("settings_invalid", parse(text), words);
  assert(!message.includes(SECRET.slice(0, 8)), message);
  for (const other of ["", "{", "{} x", "[".repeat(50_000)]) {
    await rejectsWith("settings_invalid", parse(other), "it is not JSON");
  }
});

/** What only names a secret is none. */
const NAMES = {
  mount: "secret",
  auth: { token: "${VAULT_TOKEN}", tokenFile: "/run/token", secretIdFile: "/run/id" },
  key: { passphrase: { env: "MY_PASSPHRASE" } },
};

const { folder } = sandbox();

function write(document: unknown, mode = 0o644): string {
  const path = `${folder()}/settings.json`;
  Deno.writeTextFileSync(path, typeof document === "string" ? document : JSON.stringify(document));
  if (isPosix) Deno.chmodSync(path, mode);
  return path;
}

function flagsOf(line: string, path?: string) {
  const file = path === undefined ? [] : ["--config", path];
  return parseCommandLine([...line.split(" "), ...file]).flags;
}

async function pipe(): Promise<string> {
  const path = `${folder()}/pipe`;
  await makePipe(path);
  return path;
}

const FILES: [make: () => string | Promise<string>, ...words: string[]][] = [
  [() => `${folder()}/none.json`, "it is not there. Check the path."],
  [folder, "it is a folder"],
  [pipe, "it is a named pipe"],
  [() => write({}, 0o664), "mode 0664", "chmod go-w "],
  [() => write(" ".repeat(64 * 1024 + 1)), "65537 bytes"],
  [() => write({ profiles: { staging: A } }), 'no profile "stagin". Did you mean "staging"?'],
];

posixTest("a file that is named has to be one that nobody else can change", async () => {
  using _ = new OwnEnv();
  for (const [make, ...words] of FILES) {
    const path = await make();
    const read = () => settingsOf(flagsOf("status --profile stagin", path));
    await rejectsWith("settings_invalid", read, `Cannot use the settings file ${path}: `, ...words);
  }
});

Deno.test("settings: without --config the file is beside the tokens, or where a variable says", async () => {
  const home = folder();
  const separator = Deno.build.os === "windows" ? "\\" : "/";
  const usual = `${home}/.validmind/settings.json`.replaceAll("/", separator);
  const settings = () => settingsOf(flagsOf("status"));
  const env = { HOME: home, USERPROFILE: home };
  await withEnv(env, () => {
    assertEquals([settings().path, settings().state], [usual, "absent"]);
    Deno.mkdirSync(dirname(usual));
    Deno.writeTextFileSync(usual, JSON.stringify(A), { mode: 0o600 });
    assertEquals(valuesOf(settings()), A);
  });
  await withEnv({ ...env, VM_AUTH_CONFIG: write(B) }, () => assertEquals(valuesOf(settings()), B));
});

const OF_CLIENT = { clientKeyFile: "/keys/app.pem", subjectTokenFile: "/run/hub/ada" };
const OWN = { ...A, ...OF_CLIENT, audience: "https://api.a.example" };
const BROWSER = { ...A, scope: "openid", redirectUri: "http://localhost", openBrowser: true };
const PARAMETERS = { ...A, authorizationParameters: { prompt: "login", acr_values: "2" } };
const BY_VARIABLES = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CLIENT_ID: A.clientId };
const KEY = { VM_API_KEY: "k", VM_API_SECRET: "s" };
const LAYERS = { ...A, scope: "openid", audience: "https://api.a.example", loginHint: "ada" };
const TWO = { ...A, scope: "openid", profiles: { two: { ...B, backend: "kv" } } };
const ELSEWHERE = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CREDENTIALS_BACKEND: "vault" };
const C = "https://c.example";

/** What a settings file and a command line come to, and the backend that the file then names. */
const RESOLVED: [
  document: Record<string, unknown>,
  line: string,
  env: Record<string, string>,
  expected: Record<string, unknown>,
  backend?: string,
][] = [
  [A, "status", {}, A],
  [{}, "status", {}, {}],
  [{ ...A, backend: "vault", backendOptions: NAMES }, "status", {}, A, "vault"],
  // A flag wins over a variable, and a variable over the file.
  [
    LAYERS,
    "login --scope email",
    { VM_OIDC_SCOPE: "openid", VM_OIDC_AUDIENCE: "x" },
    { ...A, scope: "email", loginHint: "ada" },
  ],
  // A profile takes nothing from the others, and wins over variables where it is typed.
  [TWO, "status --profile two", ELSEWHERE, { ...B, profile: "two" }, "kv"],
  [TWO, `status --profile two --issuer ${C}`, {}, { ...B, profile: "two", issuer: C }, "kv"],
  [TWO, "status", { ...ELSEWHERE, VM_OIDC_PROFILE: "two" }, { clientId: B.clientId }],
  [A, "status --profile two", {}, { ...A, profile: "two" }], // a mere label here
  // An API key of the variables wins, unless the provider is typed.
  [A, "status", KEY, {}],
  [A, `status --issuer ${B.issuer}`, KEY, { ...A, issuer: B.issuer }],
  [BROWSER, "login", {}, BROWSER],
  [BROWSER, "login --no-open", {}, { ...BROWSER, openBrowser: false }],
  [BROWSER, "login --flow client_credentials", {}, { ...BROWSER, flow: "client_credentials" }],
  // Parameters of the file give way to a flag for them as a whole.
  [PARAMETERS, "login", {}, PARAMETERS],
  [PARAMETERS, "login --parameter a=b", {}, { ...A, authorizationParameters: { a: "b" } }],
  // A client's key and API are for the client of the file alone.
  [OWN, "login", {}, OWN],
  [OWN, `login --issuer ${A.issuer}/ --client-id app`, {}, { ...OWN, issuer: `${A.issuer}/` }],
  [OWN, `login --issuer ${B.issuer}`, {}, { ...A, issuer: B.issuer }],
  [OWN, "login --client-id other", {}, { ...A, clientId: "other" }],
  [OWN, "login", { VM_OIDC_ISSUER: B.issuer }, { clientId: A.clientId }],
  [OWN, "login", BY_VARIABLES, { ...OF_CLIENT, audience: OWN.audience }],
  [OWN, "login", { VM_OIDC_CLIENT_SECRET: "s" }, OWN],
  // Only one proof of the client is in force, and a variable of this client wins.
  [OWN, "login", { ...BY_VARIABLES, VM_OIDC_CLIENT_SECRET: "s" }, {
    subjectTokenFile: OF_CLIENT.subjectTokenFile,
    audience: OWN.audience,
  }],
  [{ backend: "kv" }, "status", { VM_OIDC_NO_PERSIST: "0" }, {}, "kv"],
  [{ backend: "kv" }, "status", { VM_OIDC_NO_PERSIST: "1" }, {}],
];

Deno.test("settings: what a file and a command line come to", async () => {
  for (const [document, line, env, expected, backend] of RESOLVED) {
    await withEnv(env, async () => {
      const given = sessionOptions(flagsOf(line, write(document)));
      const { options, named } = await withSettings(given);
      const found = [Object.fromEntries(Object.entries(options)), named?.name];
      assertEquals(found, [expected, backend], `${line} ${Object.keys(env)}`);
    });
  }
});

Deno.test("settings: a proof of the client in the code wins over another one in the file", async () => {
  await withEnv({}, async () => {
    const given = { clientSecret: SECRET, [SETTINGS_FILE]: write(OWN) };
    const { options } = await withSettings(given);
    const { clientKeyFile: _, ...rest } = OWN;
    assertEquals({ ...options }, { ...rest, ...given });
    const two = { [SETTINGS_FILE]: write({ ...OWN, clientAssertionFile: "/run/token" }) };
    const run = () => createSession({ ...two, credentialsBackend: new MemoryCredentialsBackend() });
    await rejectsWith("invalid_options", run, "clientKeyFile", "clientAssertionFile");
  });
});
