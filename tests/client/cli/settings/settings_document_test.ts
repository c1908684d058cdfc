import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FLAGS } from "../../../../client/cli/flags.ts";
import { SETTING_NAMES, settingOf } from "../../../../client/cli/settings/setting.ts";
import { parseSettings } from "../../../../client/cli/settings/settings_document.ts";
import { SettingsError } from "../../../../client/cli/settings/settings_error.ts";

const PATH = "/home/ada/.config/validmind-auth/config.json";
const CLIENT = { issuer: "https://login.example.com", clientId: "app" };

function parse(document: unknown) {
  return parseSettings(PATH, JSON.stringify(document));
}

Deno.test("settings: default, and profiles that stand for themselves", () => {
  const document = parse({ default: CLIENT, profiles: { "reviewer@acme": { scope: "openid" } } });
  assertEquals(document.default, CLIENT);
  assertEquals([...document.profiles], [["reviewer@acme", { scope: "openid" }]]);
  assertEquals(parse({}), { default: {}, profiles: new Map() });
});

Deno.test("settings: the flag of each setting is one of the command line", () => {
  for (const name of SETTING_NAMES) {
    const { flag } = settingOf(name);
    assert(flag === undefined || Object.hasOwn(FLAGS, flag), `${name}: ${flag}`);
  }
});

Deno.test({
  name: "settings: a relative path is taken from the folder of the file",
  ignore: Deno.build.os === "windows",
  fn: () => {
    const entry = { ...CLIENT, clientKeyFile: "keys/app.pem", backend: "./store.ts:Store" };
    const { default: read } = parse({ default: entry });
    assertEquals(read.clientKeyFile, "/home/ada/.config/validmind-auth/keys/app.pem");
    assertEquals(read.backend, "/home/ada/.config/validmind-auth/store.ts:Store");
    const beside = parseSettings("conf/x.json", JSON.stringify({ default: entry })).default;
    assertEquals([beside.clientKeyFile, beside.backend], [
      "./conf/keys/app.pem",
      "./conf/store.ts:Store",
    ]);
    const absolute = { ...CLIENT, clientAssertionFile: "/run/token", backend: "jsr:@acme/s:Store" };
    assertEquals(parse({ default: absolute }).default, absolute);
  },
});

const SECRET = "s3cr3t-of-somebody";

const REFUSED: [document: unknown, ...words: string[]][] = [
  [[], "not one JSON object"],
  [null, "not one JSON object"],
  [
    { issuer: "https://a.example" },
    '"issuer" stands outside of "default"',
    '{"default": {"issuer"',
  ],
  [{ profile: {} }, 'the file has "profile"', "Did you mean profiles?"],
  [{ defaults: {} }, '"defaults"', "Did you mean default?"],
  [{ default: "x" }, '"default" is no object'],
  [{ profiles: [] }, '"profiles" is no object'],
  [{ profiles: { "a b": {} } }, '"profiles" has a name other than'],
  [{ profiles: { two: 1 } }, '"profiles.two" is no object'],
  [{ default: { client_id: "x" } }, '"default" has "client_id"', "Did you mean clientId?"],
  [{ default: { "api-host": "x" } }, '"api-host"', "Did you mean apiHost?"],
  [{ profiles: { two: { isuer: "x" } } }, '"profiles.two" has "isuer"', "Did you mean issuer?"],
  [{ default: { model: "x" } }, '"model"', "It takes: issuer, clientId"],
  [JSON.parse('{"default": {"__proto__": {}}}'), '"__proto__"'],
  [{ default: { constructor: "x" } }, '"constructor"'],
  [{ default: { issuer: 7 } }, '"issuer" in "default" is not a non-empty string'],
  [{ default: { issuer: "" } }, '"issuer" in "default" is not a non-empty string'],
  [
    { default: { issuer: "login.example.com" } },
    '"issuer" in "default": it is not an http',
  ],
  [{ default: { issuer: "http://login.example.com" } }, '"issuer"', "clear text", "Use https:"],
  [{ default: { issuer: "https://a.example/?x" } }, '"issuer" in "default"', "a query"],
  [{ default: { apiHost: "http://api.example.com" } }, '"apiHost" in "default": it', "clear text"],
  [{ default: { flow: "divice" } }, '"flow" in "default" is not one of auto, device'],
  [{ default: { openBrowser: "yes" } }, '"openBrowser" in "default" is not true or false'],
  [{ default: { backend: "kv", backendOptions: "x" } }, '"backendOptions"', "not an object"],
  [{ default: { authorizationParameters: { a: 1 } } }, "not an object of strings"],
  [{ default: { ...CLIENT, clientKeyFile: "~/app.pem" } }, '"clientKeyFile"', '"~/"'],
  [{ default: { backendOptions: {} } }, '"backendOptions"', 'without "backend"'],
  [{ default: { clientKeyFile: "/k" } }, '"clientKeyFile"', 'without "issuer" and "clientId"'],
  [{ default: { issuer: "https://a.example", clientKeyFile: "/k" } }, 'without "clientId"'],
  [
    { default: { ...CLIENT, clientKeyFile: "/k", clientAssertionFile: "/a" } },
    "exclude each other",
  ],
  // Secrets.
  [
    { default: { clientSecret: SECRET } },
    '"clientSecret"',
    "VM_OIDC_CLIENT_SECRET",
    "clientKeyFile",
  ],
  [{ default: { apiKey: SECRET } }, '"apiKey"', "VM_API_KEY and VM_API_SECRET"],
  [{ default: { apiSecret: SECRET } }, '"apiSecret"', "VM_API_SECRET"],
  [{ default: { accessToken: SECRET } }, '"accessToken"', "not for secrets"],
  [{ profiles: { two: { refresh_token: SECRET } } }, '"profiles.two"', "not for secrets"],
  [{ default: { passphrase: SECRET } }, '"passphrase"', '{"token": "${MY_TOKEN}"}'],
  [
    { default: { backend: "vault", backendOptions: { auth: { token: SECRET } } } },
    '"backendOptions.auth.token"',
    "write ${MY_SECRET}",
  ],
  [
    { default: { backend: "vault", backendOptions: { auth: { secretId: `\${A}${SECRET}` } } } },
    "not for secrets",
  ],
  [
    { default: { backend: "fallback", backendOptions: { backends: [{ passphrase: SECRET }] } } },
    "not for secrets",
  ],
  [{ default: { issuer: `https://ada:${SECRET}@login.example.com` } }, "has a secret in it"],
  [{ default: { audience: `eyJhbGciOi.${SECRET}.x` } }, "has a secret in it", "Leave it out"],
  [{ default: { [`${SECRET}${SECRET}`]: 1 } }, '"default" has a key'],
  [{ [`${SECRET}${SECRET}`]: 1 }, "the file has a key"],
];

for (const [document, ...words] of REFUSED) {
  const text = JSON.stringify(document);
  Deno.test(`settings: ${text} is refused, by file and key`, () => {
    const { message } = assertThrows(() => parseSettings(PATH, text), SettingsError);
    for (const word of [`Cannot use the settings file ${PATH}: `, ...words]) {
      assertStringIncludes(message, word);
    }
    assert(!message.includes(SECRET.slice(0, 8)), message);
  });
}

for (const text of ["", "{", "\u{FEFF}", '{"default": {}} x', "[".repeat(50_000)]) {
  Deno.test(`settings: the text ${JSON.stringify(text.slice(0, 20))} is refused`, () => {
    assertThrows(() => parseSettings(PATH, text), SettingsError, "not one JSON object");
  });
}

Deno.test("settings: a slip of the pen is told by its line, without the text there", () => {
  const text = `{"default": {\n  "issuer": "https://a.example"\n  "audience": "${SECRET}"\n}}`;
  const { message } = assertThrows(() => parseSettings(PATH, text), SettingsError);
  assertStringIncludes(message, "it is not one JSON object: see line 3, column 3. Write it like");
  assert(!message.includes(SECRET.slice(0, 8)), message);
});

Deno.test("settings: what only names a secret is none", () => {
  const backendOptions = {
    path: "users/ada",
    mount: "secret",
    auth: { token: "${VAULT_TOKEN}", tokenFile: "/run/token", secretIdFile: "/run/id" },
    key: { passphrase: { env: "MY_PASSPHRASE" } },
  };
  const entry = { ...CLIENT, backend: "vault", backendOptions };
  assertEquals(parse({ default: entry }).default, entry);
});
