import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { dirname } from "@std/path";
import { COMMANDS, parseCommandLine } from "../../../client/cli/main.ts";
import type { FlagValues } from "../../../client/cli/command.ts";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { settingsOf } from "../../../client/cli/commands/config.ts";
import { namesOf, withSettings } from "../../../client/options/resolve_options.ts";
import { parseSettings, valuesOf } from "../../../client/options/settings_file.ts";
import { sessionOptions as optionsOf } from "../../../client/cli/sign_in_target.ts";
import { withEnv } from "../../support/own_env.ts";
import { isPosix, makePipe, sandbox } from "../../support/sandbox.ts";

const PATH = "/home/ada/.validmind/settings.json";
const A = { issuer: "https://a.example", clientId: "app" };
const B = { issuer: "https://b.example", clientId: "two" };

Deno.test("settings: options by their names, and profiles of the same", () => {
  const { common, profiles } = parseSettings(PATH, JSON.stringify({ ...A, profiles: { b: B } }));
  assertEquals([common, [...profiles]], [A, [["b", B]]]);
  assertEquals(parseSettings(PATH, "{}"), { common: {}, profiles: new Map() });
});

Deno.test({
  name: "settings: a relative path is taken from the folder of the file",
  ignore: !isPosix,
  fn: () => {
    const entry = { clientKeyFile: "keys/app.pem", backend: "./store.ts:Store" };
    const { common } = parseSettings(PATH, JSON.stringify(entry));
    assertEquals(common.clientKeyFile, "/home/ada/.validmind/keys/app.pem");
    assertEquals(common.backend, "/home/ada/.validmind/./store.ts:Store");
    const beside = parseSettings("x.json", JSON.stringify(entry)).common;
    assertEquals(beside.clientKeyFile, "./keys/app.pem");
    const absolute = { clientAssertionFile: "/run/token", backend: "jsr:@acme/s:Store" };
    assertEquals(parseSettings(PATH, JSON.stringify(absolute)).common, absolute);
  },
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
  [
    { backend: "fallback", backendOptions: { backends: [{ passphrase: SECRET }] } },
    '"passphrase"',
  ],
];

Deno.test("settings: what cannot be used is refused, by file and key", () => {
  for (const [document, ...words] of REFUSED) {
    const { message } = assertThrows(
      () => parseSettings(PATH, JSON.stringify(document)),
      ValidMindAuthError,
    );
    for (const word of [`Cannot use the settings file ${PATH}`, ...words]) {
      assertStringIncludes(message, word);
    }
    assert(!message.includes(SECRET.slice(0, 8)), message);
  }
});

Deno.test("settings: a slip of the pen is told by its line, without the text there", () => {
  const text = `{\n  "issuer": "https://a.example"\n  "audience": "${SECRET}"\n}`;
  const { message } = assertThrows(() => parseSettings(PATH, text), ValidMindAuthError);
  assertStringIncludes(message, "it is not JSON (line 3 column 3). Write it like");
  assert(!message.includes(SECRET.slice(0, 8)), message);
  for (const other of ["", "{", "{} x", "[".repeat(50_000)]) {
    assertThrows(() => parseSettings(PATH, other), ValidMindAuthError, "it is not JSON");
  }
});

Deno.test("settings: what only names a secret is none", () => {
  const backendOptions = {
    mount: "secret",
    auth: { token: "${VAULT_TOKEN}", tokenFile: "/run/token", secretIdFile: "/run/id" },
    key: { passphrase: { env: "MY_PASSPHRASE" } },
  };
  const entry = { ...A, backend: "vault", backendOptions };
  assertEquals(parseSettings(PATH, JSON.stringify(entry)).common, entry);
});

const { folder } = sandbox();

function write(document: unknown, mode = 0o644): string {
  const path = `${folder()}/settings.json`;
  Deno.writeTextFileSync(path, typeof document === "string" ? document : JSON.stringify(document));
  if (isPosix) Deno.chmodSync(path, mode);
  return path;
}

/** The options of a session by flags, variables and file, without the name of the file. */
async function sessionOptions(flags: FlagValues): Promise<Record<string, unknown>> {
  const { options } = await withSettings(optionsOf(flags), namesOf(false));
  return Object.fromEntries(Object.entries(options));
}

/** The flags of a command line, with this settings file. */
function flagsOf(document: unknown, ...args: string[]): FlagValues {
  return flagsAt(write(document), ...args);
}

function flagsAt(path: string, ...args: string[]): FlagValues {
  const line = parseCommandLine([...args, "--config", path], COMMANDS);
  return line.flags;
}

const FILES: [what: string, make: () => string | Promise<string>, ...words: string[]][] = [
  ["none", () => `${folder()}/none.json`, "it is not there. Check the path."],
  ["a folder", () => folder(), "it is a folder"],
  ["a named pipe", async () => {
    const path = `${folder()}/pipe`;
    await makePipe(path);
    return path;
  }, "it is a named pipe"],
  ["one that the group may write", () => write({}, 0o664), "mode 0664", "chmod go-w "],
  ["one of 64 KiB and a byte", () => write(" ".repeat(64 * 1024 + 1)), "65537 bytes"],
];

Deno.test({
  name: "settings: a file that is named has to be one that nobody else can change",
  ignore: !isPosix,
  fn: () =>
    withEnv({}, async () => {
      for (const [what, make, ...words] of FILES) {
        const path = await make();
        const { message } = assertThrows(() => settingsOf(flagsAt(path, "status")), Error);
        for (const word of [`Cannot use the settings file ${path}: `, ...words]) {
          assertStringIncludes(message, word, what);
        }
      }
    }),
});

Deno.test("settings: without --config the file is beside the tokens, or where a variable says", async () => {
  const home = folder();
  const usual = `${home}/.validmind/settings.json`.replaceAll(
    "/",
    Deno.build.os === "windows" ? "\\" : "/",
  );
  const settings = () => {
    const line = parseCommandLine(["status"], COMMANDS);
    return settingsOf(line.flags);
  };
  const env = { HOME: home, USERPROFILE: home };
  await withEnv(env, () => {
    assertEquals([settings().path, settings().state], [usual, "absent"]);
    Deno.mkdirSync(dirname(usual));
    Deno.writeTextFileSync(usual, JSON.stringify(A), { mode: 0o600 });
    assertEquals(valuesOf(settings()), A);
  });
  await withEnv({ ...env, VM_AUTH_CONFIG: write(B) }, () => assertEquals(valuesOf(settings()), B));
});

Deno.test("settings: a flag wins over a variable, and a variable over the file", async () => {
  const document = { ...A, scope: "openid", audience: "https://api.a.example", loginHint: "ada" };
  const env = { VM_OIDC_SCOPE: "openid email", VM_OIDC_AUDIENCE: "https://api.b.example" };
  await withEnv(env, async () => {
    const flags = flagsOf(document, "login", "--scope", "openid admin");
    assertEquals(await sessionOptions(flags), { ...A, scope: "openid admin", loginHint: "ada" });
    const sources = settingsOf(flags).rows.map(({ name, source }) => [name, source]);
    assertEquals(Object.fromEntries(sources), {
      issuer: "settings file",
      clientId: "settings file",
      scope: "--scope",
      audience: "VM_OIDC_AUDIENCE",
      loginHint: "settings file",
    });
  });
});

Deno.test("settings: a profile takes nothing from the others; one that is not there is an error", async () => {
  const document = { ...A, scope: "openid", profiles: { staging: B } };
  await withEnv({}, async () => {
    const settings = settingsOf(flagsOf(document, "status", "--profile", "staging"));
    assertEquals([settings.profile, valuesOf(settings)], ["staging", B]);
    const slip = () => settingsOf(flagsOf(document, "status", "--profile", "stagin"));
    assertThrows(slip, Error, 'no profile "stagin". Did you mean "staging"?');
    const label = flagsOf(A, "status", "--profile", "two"); // a mere label where the file has none
    assertEquals(await sessionOptions(label), { ...A, profile: "two" });
  });
});

Deno.test("settings: a profile that is typed wins over variables, one of a variable does not", async () => {
  const document = { profiles: { two: { ...B, backend: "kv" } } };
  const variables = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CREDENTIALS_BACKEND: "vault" };
  await withEnv(variables, async () => {
    const settings = settingsOf(flagsOf(document, "status", "--profile", "two"));
    assertEquals(valuesOf(settings), { ...B, backend: "kv" });
    const flags = flagsOf(document, "status", "--profile", "two", "--issuer", "https://c.example");
    assertEquals((await sessionOptions(flags)).issuer, "https://c.example");
  });
  await withEnv({ ...variables, VM_OIDC_PROFILE: "two" }, () => {
    const settings = settingsOf(flagsOf(document, "status"));
    assertEquals([valuesOf(settings), settings.profile], [{ clientId: B.clientId }, "two"]);
  });
});

const OWN = { ...A, clientKeyFile: "/keys/app.pem", audience: "https://api.a.example" };
const BROWSER = { ...A, scope: "openid", redirectUri: "http://localhost", openBrowser: true };
const PARAMETERS = { ...A, authorizationParameters: { prompt: "login", acr_values: "2" } };
const BY_VARIABLES = { VM_OIDC_ISSUER: A.issuer, VM_OIDC_CLIENT_ID: A.clientId };

/** What a settings file and a command line come to. */
const RESOLVED: [
  document: Record<string, unknown>,
  line: string,
  env: Record<string, string>,
  expected: Record<string, unknown>,
][] = [
  // An API key of the variables wins, unless the provider is typed.
  [A, "status", { VM_API_KEY: "k", VM_API_SECRET: "s" }, {}],
  [A, `status --issuer ${B.issuer}`, { VM_API_KEY: "k", VM_API_SECRET: "s" }, {
    ...A,
    issuer: B.issuer,
  }],
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
  [OWN, "login", BY_VARIABLES, { clientKeyFile: OWN.clientKeyFile, audience: OWN.audience }],
  [OWN, "login", { VM_OIDC_CLIENT_SECRET: "s" }, OWN],
];

Deno.test("settings: what a file and a command line come to", async () => {
  for (const [document, line, env, expected] of RESOLVED) {
    await withEnv(env, async () => {
      const options = await sessionOptions(flagsOf(document, ...line.split(" ")));
      assertEquals(options, expected, `${line} ${Object.keys(env)}`);
    });
  }
});

Deno.test("settings: VM_OIDC_NO_PERSIST=0 leaves the backend to the file, =1 does not", async () => {
  for (const [VM_OIDC_NO_PERSIST, used] of [["0", "kv"], ["1", undefined]] as const) {
    await withEnv(
      { VM_OIDC_NO_PERSIST },
      () => assertEquals(valuesOf(settingsOf(flagsOf({ backend: "kv" }, "status"))).backend, used),
    );
  }
});
