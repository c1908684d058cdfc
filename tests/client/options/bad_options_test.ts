import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { init } from "../../../client/init.ts";
import type {
  AccessTokenOptions,
  ClearOptions,
  DropPermissionsOptions,
  PostOptions,
  SignInOptions,
} from "../../../client/session.ts";
import type { InitOptions } from "../../../client/session_options.ts";
import type { AnyErrorCode } from "../../support/rejects_with.ts";
import { test } from "../../support/provider_world.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const OIDC_ENV = { VM_OIDC_ISSUER: "https://login.example.com", VM_OIDC_CLIENT_ID: "my-app" };
const KEY = { apiKey: "key-1", apiSecret: "secret-1" };
const KEY_ENV = { VM_API_KEY: "key-1", VM_API_SECRET: "secret-1" };
const NO_OIDC = { issuer: undefined, clientId: undefined };

/** Options that differ from good ones, with variables among them, and words of the error. */
type Row = [change: Record<string, unknown>, ...words: string[]];

const API_HOST = "apiHost (VM_API_HOST, --api-host)";
const URI = "redirectUri (VM_OIDC_REDIRECT_URI, --redirect-uri)";
const NO_HOST = { apiHost: undefined };
const OF_ANOTHER = { ...NO_HOST, VM_API_HOST: "https://b.example/", VM_OIDC_CLIENT_ID: "another" };

const TEXTS = ["issuer", "clientId", "clientSecret", "scope", "profile", "apiHost", "apiUrl"];

const ROWS: Partial<Record<AnyErrorCode, Row[]>> = {
  invalid_options: [
    [{ flow: "devise" }, 'option "flow" is not one of auto, device, browser', '"device"?'],
    [{ VM_OIDC_FLOW: "devise" }, "VM_OIDC_FLOW", "auto, device, browser"],
    [{ redirectUri: "https://h.example.com/cb" }, URI, "listen"],
    [{ listen: "0.0.0.0:80" }, "listen (VM_OIDC_LISTEN, --listen)"],
    [{ authorizationParameters: { state: "x" } }, "authorizationParameters", "state"],
    [{ clientid: "x" }, 'unknown option "clientid"', "clientId"],
    [{ toString: "x" }, 'unknown option "toString"'],
    ...[...TEXTS, "model", "document"].flatMap((name): Row[] => [
      [{ [name]: 5 }, `option "${name}" is not a string`],
      [{ [name]: null }, `option "${name}"`],
      [{ [name]: " " }, `option "${name}"`],
    ]),
    [{ audience: 5 }, 'option "audience" is not a string'],
    [{ ...NO_OIDC, apiKey: 5, apiSecret: "s" }, 'option "apiKey"'],
    [{ clientAssertion: 5 }, 'option "clientAssertion" is not a string or a function'],
    ...["monitoring", "interactive"].map((name): Row => [
      { [name]: "False" },
      `option "${name}" is not true or false`,
    ]),
    ...["onDeviceCode", "fetch", "now", "delay"].map((name): Row => [
      { [name]: {} },
      `option "${name}" is not a function`,
    ]),
    ...[{}, null].map((signal): Row => [{ signal }, 'option "signal"']),
    [{ timeoutMs: "5" }, 'option "timeoutMs"', "number"],
    ...[0, -1, NaN].map((timeoutMs): Row => [{ timeoutMs }, 'option "timeoutMs"']),
    ...["soon", "0", "-3"].map((VM_API_TIMEOUT): Row => [{ VM_API_TIMEOUT }, "VM_API_TIMEOUT"]),
    [{ bearer: "refresh_token" }, 'option "bearer"', "one of auto"],
    [{ credentialsBackend: "file" }, 'option "credentialsBackend"'],

    [{ clientId: "a\x1b[2J" }, "clientId", "control character"],
    [{ issuer: "https://a.example/\u200b" }, "issuer", "control character"],
    [{ profile: "a|b" }, "profile", "letters, digits"],
    ...["a b", "ü", "a".repeat(65)].map((profile): Row => [{ profile }, "profile"]),
    [{ VM_OIDC_PROFILE: "a:b" }, "VM_OIDC_PROFILE"],

    ...["a.example", "https//me:pw@a.example", "ftp://a.example", '""'].map((issuer): Row => [
      { issuer },
      "issuer (VM_OIDC_ISSUER, --issuer) is not an http(s) URL",
    ]),
    [{ clientId: '""' }, "clientId (VM_OIDC_CLIENT_ID, --client-id) is empty"],
    [{ issuer: "https://login.example.com?a=b" }, "issuer (VM_OIDC_ISSUER, --issuer) has a query"],
    [{ issuer: "https://login.example.com/#x" }, "a fragment"],
    [{ issuer: "https://me:pw@login.example.com" }, "a password"],
    [{ issuer: "https://me@login.example.com" }, "issuer (VM_OIDC_ISSUER, --issuer)"],
    [{ issuer: undefined }, "VM_OIDC_ISSUER", "Give issuer"],
    [{ issuer: undefined, VM_OIDC_ISSUER: "" }, "VM_OIDC_ISSUER"],
    [{ clientId: undefined }, "VM_OIDC_CLIENT_ID", "Give clientId"],

    ...["api.example.com", "me:pw@api.example.com", "a.example/?token=hidden", "javascript:x"].map(
      (apiHost): Row => [{ apiHost }, `${API_HOST} is not an http(s) URL`],
    ),
    [{ apiHost: "https://me:pw@api.example.com/" }, API_HOST, "password"],
    [{ apiHost: "https://me@api.example.com/" }, API_HOST, "user name"],
    [{ apiUrl: "https://:pw@api.example.com/" }, API_HOST, "user name"],
    [{ ...NO_HOST, VM_API_URL: "https://me:pw@a.example/" }, API_HOST],

    ...["a\nb", "модель"].map((model): Row => [{ model }, "model"]),
    [{ model: undefined, VM_API_MODEL: "a\nb" }, "VM_API_MODEL"],
    [{ document: "a\r\nX-Evil: 1" }, "document"],
    [{ ...NO_OIDC, apiKey: "key\nhidden", apiSecret: "s" }, "apiKey"],
    [{ ...NO_OIDC, apiKey: "k", apiSecret: "ключ" }, "apiSecret"],
    [{ ...NO_OIDC, ...KEY_ENV, VM_API_KEY: "a\nhidden" }, "VM_API_KEY"],
  ],
  insecure_url: [
    [{ issuer: "http://login.example.com" }, "http://login.example.com"],
    [{ apiHost: "http://api.example.com/" }, "http://api.example.com", API_HOST],
    [{ apiUrl: "http://api.example.com/" }, "http://api.example.com"],
    [{ ...NO_HOST, VM_API_HOST: "http://a.example/" }, "http://a.example"],
  ],
  conflicting_credentials: [
    [KEY, "VM_API_KEY", "VM_OIDC_ISSUER"],
    [{ apiKey: "k" }, "apiKey"],
    [{ ...NO_OIDC, ...KEY, clientId: "my-app" }, "clientId"],
    [{ ...NO_OIDC, ...OIDC_ENV, ...KEY_ENV }, "VM_API_KEY"],
  ],
  missing_api_credentials: [
    [NO_OIDC, "no provider is set. Set issuer", "VM_API_KEY", "your administrator knows them"],
    [{ ...NO_OIDC, apiKey: "k" }, "apiSecret", "VM_API_SECRET"],
    [{ ...NO_OIDC, apiKey: "k", apiSecret: "" }, "apiSecret", "VM_API_SECRET"],
    [{ ...NO_OIDC, apiSecret: "s" }, "VM_API_KEY"],
    [{ ...NO_OIDC, VM_API_KEY: "k" }, "VM_API_SECRET"],
  ],
  api_host_missing: [
    [NO_HOST, "no API is named", API_HOST, "settings.json"],
    [{ ...NO_OIDC, ...KEY, apiHost: undefined }, "your administrator knows it"],
    // Both places and the way on, for hosts that are of another sign-in.
    [
      OF_ANOTHER,
      "the apiHost of the variables does not count: that place names another clientId than",
      "Give apiHost",
    ],
    [{ issuer: "http://localhost:1", ...OF_ANOTHER }, "does not count"], // before any default
  ],
  missing_model: [
    [{ model: undefined }, "VM_API_MODEL"],
    [{ model: undefined, VM_API_MODEL: "" }, "VM_API_MODEL"],
  ],
  env_invalid: ["off", "2", "truthy"].map((VM_OIDC_INTERACTIVE): Row => [
    { VM_OIDC_INTERACTIVE, model: undefined, VM_API_MODEL: "m" },
    "VM_OIDC_INTERACTIVE",
    "1, true or yes",
  ]),
  invalid_backend: [
    [{ credentialsBackend: {} }, "credentialsBackend"],
    [{ credentialsBackend: { get() {}, put() {} } }, "credentialsBackend"],
  ],
};

const GOOD = { ...OIDC, model: "m", apiHost: "https://api.example.com/" };

for (const [code, rows] of Object.entries(ROWS)) {
  for (const [change, ...words] of rows) {
    const name = Deno.inspect(change, { compact: true, breakLength: Infinity });
    Deno.test(`init refuses ${name} before anything is touched: ${code}`, async () => {
      await withTempHome(async (home) => {
        const backend = new SpyBackend();
        const fetch = spyFetch(() => new Response("{}"));
        const options: Record<string, unknown> = { ...GOOD, fetch, credentialsBackend: backend };
        for (const [name, value] of Object.entries(change)) {
          if (name.startsWith("VM_")) Deno.env.set(name, value as string);
          else options[name] = value;
        }
        const run = () => init(options as InitOptions);
        const error = await rejectsWith(code as AnyErrorCode, run, ...words);
        assertEquals(/key-1|secret-1|hidden|me:pw/.test(Deno.inspect(error)), false);
        assertEquals([backend.calls, fetch.urls, [...Deno.readDirSync(home)]], [[], [], []]);
      });
    });
  }
}

Deno.test("options that are no object, and createSession's that are init's own, are refused", async () => {
  for (const options of [null, "issuer", [], 5]) {
    const given = options as InitOptions;
    await rejectsWith("invalid_options", () => init(given), "Cannot sign in to ValidMind");
    await rejectsWith("invalid_options", () => createSession(given), "Cannot sign in");
  }
  for (const name of ["model", "document", "monitoring"]) {
    const options = { ...OIDC, [name]: "x" } as InitOptions;
    await rejectsWith("invalid_options", () => createSession(options), `unknown option "${name}"`);
  }
});

const HOSTS = [
  ..."localhost.example.com 127.0.0.1.example.com notlocalhost app.localhost".split(" "),
  ...["192.168.0.1", "0.0.0.0", "[::2]", "localhost@example.com"],
  `localhost.evil.example${"=".repeat(9000)}`,
];

Deno.test("plain http is for loopback hosts alone", async () => {
  const start = (apiHost: string) => createSession({ ...KEY, apiHost });
  for (const host of ["localhost:5000", "127.0.0.1", "127.8.9.10:1", "[::1]:8080"]) {
    assertEquals((await start(`http://${host}/`)).apiHost, `http://${host}/`);
  }
  for (const host of HOSTS) {
    const { message } = await rejectsWith("insecure_url", () => start(`http://${host}/`));
    assertEquals(message.length < 700, true, `${message.length} characters`);
  }
});

test("a session's calls refuse what they do not know, before anything is touched", async (world) => {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.calls.length = 0;
  for (const options of [null, ["revoke"], { revoked: true }, { revoke: "yes" }, { all: true }]) {
    const run = () => session.clear(options as ClearOptions);
    await rejectsWith("invalid_options", run, "Cannot clear the session: ");
  }
  for (const options of [null, { body: "x" }, { params: "a=1" }, { form: "a" }, { signal: 5 }]) {
    const run = () => session.post("thing", options as PostOptions);
    await rejectsWith("invalid_options", run, "Cannot POST: ");
  }
  for (const options of [null, { force_refresh: true }, { forceRefresh: "yes" }]) {
    const run = () => session.accessToken(options as AccessTokenOptions);
    await rejectsWith("invalid_options", run, "Cannot give an access token: ");
  }
  for (const options of [null, { refresh: 1 }, { every: true }]) {
    const run = () => session.dropPermissions(options as DropPermissionsOptions);
    await rejectsWith("invalid_options", run, "Cannot drop permissions: ");
  }
  for (const options of [null, { for: "401" }, { demand: {} }]) {
    const run = () => session.signIn(options as unknown as SignInOptions);
    await rejectsWith("invalid_options", run, "Cannot sign in again: ", options ? "option" : "");
  }
  const both = () => session.post("thing", { json: {}, form: {} });
  await rejectsWith("invalid_options", both, "json and form");
  assertEquals([backend.calls, (await session.status()).signedIn], [[], true]);
  assertEquals(world.api.requests, []);
});
