import { quoteArgument } from "../../../backends/common/runtime.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path";
import { createSession, MemoryCredentialsBackend, requiredPermissions } from "@validmind/auth";
import { parseCommandLine } from "../../../client/cli/parse_command_line.ts";
import { settingsOf } from "../../../client/cli/sign_in_target.ts";
import { sessionOptions } from "../../../client/cli/sign_in_target.ts";
import { backendOf, findOrigin, SETTINGS_FILE } from "../../../client/options/places.ts";
import { parseSettings, readSettingsFile } from "../../../client/options/settings_file.ts";
import { OwnEnv, withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { isPosix, makePipe, sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

const PATH = "/home/ada/.config/validmind-auth/settings.json";
const A = { issuer: "https://a.example", clientId: "app" };
const B = { issuer: "https://b.example", clientId: "two" };

const posixTest = testWith({ ignore: !isPosix }, "settings: ");

posixTest("a relative path is taken from the folder of the file", () => {
  const entry = { clientKeyFile: "keys/app.pem" };
  const { common } = parseSettings(PATH, JSON.stringify(entry));
  assertEquals(common.clientKeyFile, "/home/ada/.config/validmind-auth/keys/app.pem");
  const beside = parseSettings("x.json", JSON.stringify(entry)).common;
  assertEquals(beside.clientKeyFile, "keys/app.pem");
  const absolute = { clientAssertionFile: "/run/token" };
  assertEquals(parseSettings(PATH, JSON.stringify(absolute)).common, absolute);
  using _ = new OwnEnv({ HOME: "/home/ada", USER: "ada" });
  for (
    const path of ["${HOME}/a.json", ":memory:", "${USER}.json", "${USER}/a.json", "${NO}.json"]
  ) {
    const document = JSON.stringify({ backend: "kv", backendOptions: { path } });
    const own = /HOME|memory/.test(path) ? path : join(dirname(PATH), path);
    assertEquals(parseSettings(PATH, document).common.backendOptions, { path: own });
  }
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
  [{ openBrowser: "yes" }, '"openBrowser" is not true or false'],
  [{ backend: "kv", backendOptions: "x" }, '"backendOptions"', "not an object"],
  [{ authorizationParameters: { a: 1 } }, "object of strings"],
  [{ only: ["vault"] }, "not an object"],
  [{ only: { backend: ["vault"] } }, '"backend"', 'Did you mean "backends"?'],
  [{ only: { backends: "vault" } }, '"backends"'],
  [{ profiles: { two: { only: {} } } }, '"only"'],
  [{ backendOptions: {} }, '"backendOptions"', 'no "backend" beside'],
  [
    { clientSecret: SECRET },
    '"clientSecret" is a secret',
    'VM_OIDC_CLIENT_SECRET with VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID, or "clientSecretFile"',
  ],
  [{ apiKey: SECRET }, '"apiKey"', "is a secret"],
  // Code is named by code and variables alone, at any depth.
  ...["./evil.ts:Evil", "data:text/javascript,0:E", "jsr:@a/b:C", "evil.ts#E", "${EVIL}"].flatMap(
    (name): typeof REFUSED => [
      [{ backend: name }, '"backend" names a module'],
      [{ profiles: { two: { backend: name } } }, '"backend" names a module'],
      [{ backend: "encrypted", backendOptions: { backend: { name } } }, "names a module"],
      [{ backend: "fallback", backendOptions: { backends: ["memory", name] } }, "names a module"],
    ],
  ),
  ...["./helper", "/opt/helper", "bin\\helper", "${HELPER}"].map((program): typeof REFUSED[0] => [
    { backend: "helper", backendOptions: { program } },
    '"program" is a path',
    "as PATH has it",
  ]),
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

/** Writes a settings file to its usual place in a home, or to another one. */
function write(document: unknown, mode = 0o644, path = usualIn(folder())): string {
  Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  Deno.writeTextFileSync(path, typeof document === "string" ? document : JSON.stringify(document));
  if (isPosix) Deno.chmodSync(path, mode);
  return path;
}

function usualIn(home: string): string {
  return join(home, ".config", "validmind-auth", "settings.json");
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
  [() => write(" ".repeat(1_048_577)), "1048577 bytes"],
  [
    () => write({ profiles: { staging: A } }),
    'no profile "stagin". Did you mean "staging"? Or give issuer',
  ],
];

posixTest("a file that is named has to be one that nobody else can change", async () => {
  using _ = new OwnEnv();
  for (const [make, ...words] of FILES) {
    const path = await make();
    const read = () => settingsOf(flagsOf("status --profile stagin", path), "test");
    await rejectsWith("settings_invalid", read, `Cannot use the settings file ${path}: `, ...words);
  }
});

Deno.test("settings: the file has its usual place, apart from the tokens, or that of a variable", async () => {
  const home = folder();
  const usual = usualIn(home);
  const settings = () => settingsOf(flagsOf("status"), "test");
  const valueOf = async (name: string) =>
    (await settings()).rows.find((row) => row.name === name)?.value;
  const env = { HOME: home, USERPROFILE: home, XDG_CONFIG_HOME: "/nowhere" };
  await withEnv(env, async () => {
    const { path, state } = await settings();
    assertEquals([path, state], [usual, "absent"]);
    write({ ...B, backend: "./evil.ts:Evil" }, 0o600, join(home, ".validmind", "settings.json"));
    assertEquals(await valueOf("issuer"), undefined, "of a place that scripts may write");
    write(A, 0o644, usual);
    assertEquals(await valueOf("issuer"), A.issuer);
  });
  const other = write(B, 0o644, join(home, "other.json"));
  await withEnv({ ...env, VM_AUTH_CONFIG: other }, async () => {
    assertEquals(await valueOf("issuer"), B.issuer);
  });
  await withEnv({ ...env, VM_AUTH_CONFIG: "other.json" }, async () => {
    const words = "VM_AUTH_CONFIG is not an absolute path";
    await rejectsWith("settings_invalid", settings, words);
    await rejectsWith("settings_invalid", () => createSession(A), words);
  });
});

/** What leads to a secret or a program, and so counts at the usual place alone. */
const TRUSTED = [
  { clientSecretFile: "/run/secret" },
  { clientKeyFile: "key.pem" },
  { subjectTokenFile: "/run/token" },
  { backend: "memory" },
  { only: { backends: ["vault"] } },
  { only: { issuers: [] } },
  {
    profiles: { two: { backend: "vault", backendOptions: { token: "${AWS_SECRET_ACCESS_KEY}" } } },
  },
];

posixTest("outside its usual place a file names no secret file and no store", async () => {
  const home = folder();
  // Whoever runs the tests, the folder belongs to a person.
  const { statSync } = Deno;
  let owner = 1000;
  using _ = replace(Deno, "statSync", (path) => ({ ...statSync(path), uid: owner }));
  await withEnv({ HOME: home, USERPROFILE: home }, async () => {
    for (const document of TRUSTED) {
      const path = write(document, 0o600, join(home, "clone", "settings.json"));
      const read = () => Promise.try(readSettingsFile, path);
      const words = [path, "it is not at its usual place", usualIn(home)];
      await rejectsWith("settings_invalid", read, ...words);
      readSettingsFile(write(document, 0o600, usualIn(home)));
    }
  });
  const path = write({ ...A, apiHost: C }, 0o600, join(home, "clone", "settings.json"));
  assertEquals(readSettingsFile(path).common, { ...A, apiHost: C });
  owner = 0; // such as of a hub
  for (const document of TRUSTED) readSettingsFile(write(document, 0o600, path));
  Deno.chmodSync(dirname(path), 0o775);
  for (const document of TRUSTED) {
    const read = () => Promise.try(readSettingsFile, write(document, 0o600, path));
    await rejectsWith("settings_invalid", read, "others can write its folder (mode 775)");
  }
});

posixTest("a superuser's file needs its folder, too", async () => {
  const home = folder();
  const store = { backend: "file", backendOptions: { path: "${TOKENS}/tokens.json" } };
  const path = write({ ...A, ...store }, 0o600, join(home, "etc", "settings.json"));
  const { statSync } = Deno;
  using _ = replace(Deno, "statSync", (path) => ({ ...statSync(path), uid: 0 }));
  const env = { HOME: home, USERPROFILE: home, VM_AUTH_CONFIG: path, TOKENS: home };
  await withEnv(env, async () => {
    const needs = JSON.stringify(await requiredPermissions({}, { call: "createSession" }));
    for (const one of [dirname(path), "TOKENS"]) assertStringIncludes(needs, `"${one}"`);
    using _ = replace(Deno.permissions, "querySync", (need) => {
      const isFolder = "path" in need && need.path === dirname(path);
      return { state: isFolder ? "prompt" : "granted" } as Deno.PermissionStatus;
    });
    const read = () => Promise.try(readSettingsFile, path);
    await rejectsWith("settings_invalid", read, quoteArgument(`--allow-read=${dirname(path)}`));
  });
});

const OF_CLIENT = { clientKeyFile: "/keys/app.pem", subjectTokenFile: "/run/hub/ada" };
const OWN = {
  ...A,
  ...OF_CLIENT,
  audience: "https://api.a.example",
  flow: "token_exchange",
} as const;
const BROWSER = { ...A, scope: "openid", redirectUri: "http://localhost", openBrowser: true };
const PARAMETERS = { ...A, authorizationParameters: { prompt: "login", acr_values: "2" } };
const BY_VARIABLES = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CLIENT_ID: A.clientId };
const KEY = { VM_API_KEY: "k", VM_API_SECRET: "s" };
const LAYERS = { ...A, scope: "openid", audience: "https://api.a.example", loginHint: "ada" };
const TWO = { ...A, scope: "openid", profiles: { two: { ...B, backend: "kv" } } };
const ELSEWHERE = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CREDENTIALS_BACKEND: "vault" };
const C = "https://c.example";

/** What a settings file, variables and a command line come to, and the backend that the file then names. */
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
    { ...A, scope: "email", audience: "x", loginHint: "ada" },
  ],
  // A profile stands alone, and wins over variables, whoever names it.
  [TWO, "status --profile two", ELSEWHERE, { ...B, profile: "two" }, "kv"],
  [TWO, "status", { ...ELSEWHERE, VM_OIDC_PROFILE: "two" }, { ...B, profile: "two" }, "kv"],
  [TWO, "status --profile two", { VM_OIDC_NO_PERSIST: "1" }, { ...B, profile: "two" }],
  [TWO, `status --profile two --issuer ${C}`, {}, { profile: "two", issuer: C }, "kv"],
  [A, "status --profile two", {}, { ...A, profile: "two" }], // a mere label here
  // An API key of the variables wins, unless the provider is typed.
  [A, "status", KEY, { apiKey: "k", apiSecret: "s" }],
  [A, `status --issuer ${A.issuer}`, KEY, A],
  [BROWSER, "login", {}, BROWSER],
  [BROWSER, "login --no-open", {}, { ...BROWSER, openBrowser: false }],
  [BROWSER, "login --flow client_credentials", {}, { ...BROWSER, flow: "client_credentials" }],
  // Parameters of the file give way to a flag for them as a whole.
  [PARAMETERS, "login", {}, PARAMETERS],
  [PARAMETERS, "login --parameter a=b", {}, { ...A, authorizationParameters: { a: "b" } }],
  // A client's key and API are for the client of the file alone.
  [OWN, "login", {}, OWN],
  [OWN, `login --issuer ${A.issuer}/ --client-id app`, {}, { ...OWN, issuer: `${A.issuer}/` }],
  [OWN, `login --issuer ${B.issuer}`, {}, { issuer: B.issuer }],
  [OWN, "login --client-id other", {}, { ...A, clientId: "other" }],
  [OWN, "login", BY_VARIABLES, OWN],
  [OWN, "login", { VM_OIDC_CLIENT_SECRET: "s" }, OWN],
  // Only one proof of the client is in force, and a variable of this client wins.
  [OWN, "login", { ...BY_VARIABLES, VM_OIDC_CLIENT_SECRET: "s" }, {
    ...A,
    clientSecret: "s",
    subjectTokenFile: OF_CLIENT.subjectTokenFile,
    audience: OWN.audience,
    flow: OWN.flow,
  }],
  [{ backend: "kv" }, "status", { VM_OIDC_NO_PERSIST: "0" }, {}, "kv"],
  [{ backend: "kv" }, "status", { VM_OIDC_NO_PERSIST: "1" }, {}],
];

Deno.test("settings: what a file, variables and a command line come to", async () => {
  for (const [document, line, env, expected, backend] of RESOLVED) {
    const home = folder();
    await withEnv({ HOME: home, USERPROFILE: home, ...env }, async () => {
      const given = sessionOptions(flagsOf(line, write(document, 0o644, usualIn(home))));
      const places = await findOrigin(given, "test");
      const options = places.origin.complete(given, "test", () => true);
      const found = [Object.fromEntries(Object.entries(options)), backendOf(places)?.name];
      assertEquals(found, [expected, backend], `${line} ${Object.keys(env)}`);
    });
  }
});

Deno.test("settings: a proof of the client in the code wins over another one in the file", async () => {
  const home = folder();
  await withEnv({ HOME: home, USERPROFILE: home }, async () => {
    const given = { clientSecret: SECRET, [SETTINGS_FILE]: write(OWN, 0o644, usualIn(home)) };
    const { origin } = await findOrigin(given, "test");
    const { clientKeyFile: _, ...rest } = OWN;
    assertEquals(origin.complete({ ...given }, "test", () => true), { ...rest, ...given });
    const both = { ...OWN, clientAssertionFile: "/run/token" };
    const two = { [SETTINGS_FILE]: write(both, 0o644, usualIn(home)) };
    const run = () => createSession({ ...two, credentialsBackend: new MemoryCredentialsBackend() });
    await rejectsWith("invalid_options", run, "clientKeyFile", "clientAssertionFile");
  });
});
