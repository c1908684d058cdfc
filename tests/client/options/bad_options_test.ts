import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import type { ValidMindAuthErrorCode } from "../../../client/errors.ts";
import { init } from "../../../client/init.ts";
import type { InitOptions } from "../../../client/session_options.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const KEY = { apiKey: "key-1", apiSecret: "secret-1" };
const NO_OIDC = { issuer: undefined, clientId: undefined };

/** Runs with options that would do but for `change`, and proves that nothing was touched. */
async function attempt(
  change: Record<string, unknown>,
  env: Record<string, string>,
  check: (run: () => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  await withTempHome(async (home) => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    const backend = new SpyBackend();
    const fetch = spyFetch(() => new Response("{}"));
    const good = { ...OIDC, model: "m", apiHost: "https://api.example.com/", fetch };
    const options = { ...good, credentialsBackend: backend, ...change };
    await check(() => init(options as InitOptions));
    assertEquals([backend.calls, fetch.urls, [...Deno.readDirSync(home)]], [[], [], []]);
  });
}

type Row = [
  change: Record<string, unknown>,
  code: ValidMindAuthErrorCode,
  words: string[],
  env?: Record<string, string>,
];

const STRINGS = [
  "issuer",
  "clientId",
  "clientSecret",
  "scope",
  "profile",
  "apiHost",
  "apiUrl",
  "model",
];

const ROWS: Row[] = [
  [{ flow: "devise" }, "invalid_options", ['option "flow" is not one of auto, device, browser']],
  [{ clientid: "x" }, "invalid_options", ['unknown option "clientid"', "clientId"]],
  [{ toString: "x" }, "invalid_options", ['unknown option "toString"']],
  ...[...STRINGS, "document"].flatMap((name): Row[] => [
    [{ [name]: 5 }, "invalid_options", [`option "${name}" is not a string`]],
    [{ [name]: null }, "invalid_options", [`option "${name}"`]],
    [{ [name]: "" }, "invalid_options", [`option "${name}"`]],
    [{ [name]: " " }, "invalid_options", [`option "${name}"`]],
  ]),
  [{ audience: 5 }, "invalid_options", ['option "audience" is not a string']],
  [{ ...NO_OIDC, apiKey: 5, apiSecret: "s" }, "invalid_options", ['option "apiKey"']],
  [{ ...NO_OIDC, apiKey: "k", apiSecret: "" }, "invalid_options", ['option "apiSecret"']],
  [{ monitoring: "False" }, "invalid_options", ['option "monitoring"', "boolean"]],
  [{ interactive: 0 }, "invalid_options", ['option "interactive"', "boolean"]],
  [{ onDeviceCode: "print" }, "invalid_options", ['option "onDeviceCode"', "function"]],
  [{ fetch: {} }, "invalid_options", ['option "fetch"', "function"]],
  [{ now: 5 }, "invalid_options", ['option "now"', "function"]],
  [{ delay: 5 }, "invalid_options", ['option "delay"', "function"]],
  [{ signal: true }, "invalid_options", ['option "signal"']],
  [{ signal: {} }, "invalid_options", ['option "signal"']],
  [{ signal: null }, "invalid_options", ['option "signal"']],
  [{ timeoutMs: "5" }, "invalid_options", ['option "timeoutMs"', "number"]],
  [{ timeoutMs: 0 }, "invalid_options", ['option "timeoutMs"']],
  [{ timeoutMs: -1 }, "invalid_options", ['option "timeoutMs"']],
  [{ timeoutMs: NaN }, "invalid_options", ['option "timeoutMs"']],
  [{ bearer: "refresh_token" }, "invalid_options", ['option "bearer"', "one of auto"]],
  [{ credentialsBackend: "file" }, "invalid_options", ['option "credentialsBackend"']],

  [{ profile: "a|b" }, "invalid_options", ["profile", "letters, digits"]],
  [{ profile: "a b" }, "invalid_options", ["profile"]],
  [{ profile: "ü" }, "invalid_options", ["profile"]],
  [{ profile: "a".repeat(65) }, "invalid_options", ["profile"]],
  [{}, "invalid_options", ["VM_OIDC_PROFILE"], { VM_OIDC_PROFILE: "a:b" }],

  [{ issuer: "login.example.com" }, "invalid_options", [
    "issuer (VM_OIDC_ISSUER) is not an http(s) URL",
  ]],
  [{ issuer: "https//me:pw@login.example.com" }, "invalid_options", ["issuer (VM_OIDC_ISSUER)"]],
  [{ issuer: '""' }, "invalid_options", ["issuer"]],
  [{ clientId: '""' }, "invalid_options", ["clientId (VM_OIDC_CLIENT_ID) is empty"]],
  [{ issuer: "ftp://login.example.com" }, "invalid_options", [
    "issuer (VM_OIDC_ISSUER) is not an http(s)",
  ]],
  [{ issuer: "http://login.example.com" }, "insecure_url", ["http://login.example.com"]],
  [{ issuer: "https://login.example.com?a=b" }, "invalid_options", [
    "issuer (VM_OIDC_ISSUER) has a query",
  ]],
  [{ issuer: "https://login.example.com/#x" }, "invalid_options", ["a fragment"]],
  [{ issuer: "https://me:pw@login.example.com" }, "invalid_options", ["a password"]],
  [{ issuer: "https://me@login.example.com" }, "invalid_options", ["issuer (VM_OIDC_ISSUER)"]],
  [{ issuer: undefined }, "invalid_options", ["VM_OIDC_ISSUER", "Give issuer"]],
  [{ clientId: undefined }, "invalid_options", ["VM_OIDC_CLIENT_ID", "Give clientId"]],
  [{ issuer: undefined }, "invalid_options", ["VM_OIDC_ISSUER"], { VM_OIDC_ISSUER: "" }],

  [{ apiHost: "http://api.example.com/" }, "insecure_url", [
    "http://api.example.com",
    "apiHost (VM_API_HOST)",
  ]],
  [{ apiUrl: "http://api.example.com/" }, "insecure_url", ["http://api.example.com"]],
  [{ apiHost: "api.example.com" }, "invalid_options", [
    "apiHost (VM_API_HOST) is not an http(s) URL",
  ]],
  [{ apiHost: "me:pw@api.example.com" }, "invalid_options", ["apiHost (VM_API_HOST) is not"]],
  [{ apiHost: "api.example.com/?token=hidden" }, "invalid_options", [
    "apiHost (VM_API_HOST) is not",
  ]],
  [{ apiHost: "https://me:pw@api.example.com/" }, "invalid_options", [
    "apiHost (VM_API_HOST)",
    "password",
  ]],
  [{ apiHost: "https://me@api.example.com/" }, "invalid_options", [
    "apiHost (VM_API_HOST)",
    "user name",
  ]],
  [{ apiUrl: "https://:pw@api.example.com/" }, "invalid_options", [
    "apiHost (VM_API_HOST)",
    "user name",
  ]],
  [{ apiHost: undefined }, "invalid_options", ["apiHost (VM_API_HOST)"], {
    VM_API_URL: "https://me:pw@api.example.com/",
  }],
  [{ apiHost: undefined }, "insecure_url", ["http://a.example"], {
    VM_API_HOST: "http://a.example/",
  }],

  [KEY, "conflicting_credentials", ["VM_API_KEY", "VM_OIDC_ISSUER"]],
  [{ apiKey: "k" }, "conflicting_credentials", ["apiKey"]],
  [{ ...NO_OIDC, ...KEY, clientId: "my-app" }, "conflicting_credentials", ["clientId"]],
  [NO_OIDC, "conflicting_credentials", ["VM_API_KEY"], {
    VM_OIDC_ISSUER: "https://login.example.com",
    VM_OIDC_CLIENT_ID: "my-app",
    VM_API_KEY: "k",
    VM_API_SECRET: "s",
  }],
  [NO_OIDC, "missing_api_credentials", ["VM_OIDC_ISSUER", "VM_API_KEY"]],
  [{ ...NO_OIDC, apiKey: "k" }, "missing_api_credentials", ["apiSecret", "VM_API_SECRET"]],
  [{ ...NO_OIDC, apiSecret: "s" }, "missing_api_credentials", ["VM_API_KEY"]],
  [NO_OIDC, "missing_api_credentials", ["VM_API_SECRET"], { VM_API_KEY: "k" }],
  [{ model: undefined }, "missing_model", ["VM_API_MODEL"]],
  [{ model: undefined }, "missing_model", ["VM_API_MODEL"], { VM_API_MODEL: "" }],

  [{}, "invalid_options", ["VM_API_TIMEOUT"], { VM_API_TIMEOUT: "soon" }],
  [{}, "invalid_options", ["VM_API_TIMEOUT"], { VM_API_TIMEOUT: "0" }],
  [{}, "invalid_options", ["VM_API_TIMEOUT"], { VM_API_TIMEOUT: "-3" }],

  [{ model: "a\nb" }, "invalid_options", ["model"]],
  [{ model: "модель" }, "invalid_options", ["model"]],
  [{ document: "a\r\nX-Evil: 1" }, "invalid_options", ["document"]],
  [{ ...NO_OIDC, apiKey: "key\nhidden", apiSecret: "s" }, "invalid_options", ["apiKey"]],
  [{ ...NO_OIDC, apiKey: "k", apiSecret: "ключ" }, "invalid_options", ["apiSecret"]],
  [NO_OIDC, "invalid_options", ["VM_API_KEY"], { VM_API_KEY: "a\nhidden", VM_API_SECRET: "s" }],
  [{ model: undefined }, "invalid_options", ["VM_API_MODEL"], { VM_API_MODEL: "a\nb" }],
];

for (const [change, code, words, env = {}] of ROWS) {
  const name = Deno.inspect({ ...change, ...env }, { compact: true, breakLength: Infinity });
  Deno.test(`init refuses ${name}: ${code}`, async () => {
    await attempt(change, env, async (run) => {
      const error = await rejectsWith(code, run, ...words);
      assertEquals(/key-1|secret-1|hidden|me:pw/.test(Deno.inspect(error)), false);
    });
  });
}

Deno.test("init refuses an unknown VM_OIDC_FLOW", async () => {
  await attempt({}, { VM_OIDC_FLOW: "devise" }, async (run) => {
    await rejectsWith("invalid_options", run, "VM_OIDC_FLOW", "auto, device, browser");
  });
});

for (const value of ["off", "2", "ja", "truthy"]) {
  Deno.test(`init refuses VM_OIDC_INTERACTIVE=${value}, and reads it only where it counts`, async () => {
    const env = { VM_OIDC_INTERACTIVE: value };
    await attempt({}, env, async (run) => {
      await rejectsWith("env_invalid", run, "VM_OIDC_INTERACTIVE", "1, true or yes");
    });
    await attempt(
      { model: undefined },
      { ...env, VM_API_MODEL: "m" },
      (run) => rejectsWith("env_invalid", run),
    );
  });
}

Deno.test("init refuses a backend that lacks a method", async () => {
  for (const credentialsBackend of [{}, { get() {}, put() {} }]) {
    await attempt({ credentialsBackend }, {}, (run) => rejectsWith("invalid_backend", run));
  }
});

Deno.test("options that are no object are refused", async () => {
  for (const options of [null, "issuer", [], 5]) {
    await rejectsWith(
      "invalid_options",
      () => init(options as InitOptions),
      "Cannot sign in to ValidMind",
    );
    await rejectsWith(
      "invalid_options",
      () => createSession(options as InitOptions),
      "Cannot sign in",
    );
  }
});

Deno.test("createSession refuses init's own options", async () => {
  for (const name of ["model", "document", "monitoring"]) {
    const options = { ...OIDC, [name]: "x" } as InitOptions;
    await rejectsWith("invalid_options", () => createSession(options), `unknown option "${name}"`);
  }
});
