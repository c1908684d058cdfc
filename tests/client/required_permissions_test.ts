import type {
  PermissionNeed,
  RequiredPermissionsOptions,
} from "../../client/format_permissions.ts";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import type { InitOptions } from "../../client/session_options.ts";
import { requiredPermissions } from "../../client/init.ts";
import { withTempHome } from "../support/temp_home.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { spyFetch } from "../support/spy_fetch.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
/** All that an environment would be asked for, but for the model and the backend. */
const FULL = {
  ...OIDC,
  scope: "openid",
  clientSecret: "secret",
  audience: "api",
  profile: "work",
  apiHost: "https://api.example.com:8443/v1/",
  timeoutMs: 1000,
  flow: "auto",
  interactive: false,
} as const;
const MODEL = { model: "cl-1" };
const MEMORY = { credentialsBackend: new MemoryCredentialsBackend() };
const HOME = Deno.build.os === "windows" ? "USERPROFILE" : "HOME";

/** Each need in a line, such as "net a.example.com:443 always". */
function lines(needs: readonly PermissionNeed[]): string[] {
  return needs.map((need) => {
    const { name, reason, need: when, ...scope } = need;
    assertEquals(typeof reason === "string" && reason.startsWith("to "), true);
    return [name, ...Object.values(scope), when].join(" ");
  });
}

async function needsOf(
  options: InitOptions,
  about: RequiredPermissionsOptions = {},
  env: Record<string, string> = {},
): Promise<string[]> {
  return await withTempHome(async () => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    return lines(await requiredPermissions(options, about));
  });
}

const NET = ["net api.example.com:8443 always", "net login.example.com:443 sign_in"];

Deno.test("requiredPermissions: with all options and in memory, the two hosts alone", async () => {
  assertEquals(await needsOf({ ...FULL, ...MODEL, ...MEMORY }), NET);
  assertEquals(await needsOf({ ...FULL, ...MEMORY }, { call: "createSession" }), NET);
});

Deno.test("requiredPermissions: the variables of what is left open, apart where they are optional", async () => {
  const key = ["env VM_API_KEY optional", "env VM_API_SECRET optional"];
  const more = [
    "env VM_OIDC_SCOPE optional",
    "env VM_OIDC_AUDIENCE optional",
    "env VM_OIDC_PROFILE optional",
    "env VM_OIDC_FLOW optional",
    "env VM_OIDC_CLIENT_SECRET optional",
    "env VM_OIDC_CLIENT_KEY_FILE optional",
    "env VM_OIDC_CLIENT_ASSERTION_FILE optional",
    "env VM_OIDC_INTERACTIVE optional",
    "env VM_API_TIMEOUT optional",
  ];
  const api = ["env VM_API_URL always", "env VM_API_HOST always"];
  // Where options say who signs in: to know whose the secret is.
  const whose = ["env VM_OIDC_ISSUER optional", "env VM_OIDC_CLIENT_ID optional"];
  const env = {
    VM_OIDC_ISSUER: "http://localhost:9000/realm",
    VM_OIDC_CLIENT_ID: "c",
    VM_API_MODEL: "m",
  };
  assertEquals(await needsOf(MEMORY, {}, env), [
    "env VM_OIDC_ISSUER always",
    "env VM_OIDC_CLIENT_ID always",
    ...key,
    "env VM_API_MODEL always",
    ...api,
    ...more,
    "net localhost:5000 always", // the default
    "net localhost:9000 sign_in",
  ]);
  assertEquals(await needsOf({ ...OIDC, ...MODEL, ...MEMORY }), [
    ...whose,
    ...api,
    ...more,
    "net localhost:5000 always",
    "net login.example.com:443 sign_in",
  ]);
  const { apiHost: _, ...noHost } = FULL;
  assertEquals(await needsOf({ ...noHost, ...MEMORY }, { call: "createSession" }), [
    "env VM_API_URL optional",
    "env VM_API_HOST optional",
    NET[1],
  ]);
  const half = { issuer: OIDC.issuer, scope: "a", audience: "b", profile: "c", clientSecret: "d" };
  const rest = {
    apiUrl: "http://[::1]:8080/",
    flow: "device",
    interactive: true,
    timeoutMs: 5,
    ...MODEL,
    ...MEMORY,
  } as const;
  assertEquals(await needsOf({ ...half, ...rest }, {}, { VM_OIDC_CLIENT_ID: "c" }), [
    "env VM_OIDC_CLIENT_ID always",
    "net [::1]:8080 always",
    NET[1],
  ]);
});

Deno.test("requiredPermissions: an API key needs neither provider nor backend", async () => {
  const key = { apiKey: "k", apiSecret: "s", timeoutMs: 5 };
  const backend = Object.assign(new SpyBackend(), {
    requiredPermissions: () => [{ name: "read", path: "/data" } as const],
  });
  const options = { ...key, apiHost: FULL.apiHost, ...MODEL, credentialsBackend: backend };
  assertEquals(await needsOf(options), [NET[0]]);
  const env = { VM_API_KEY: "k", VM_API_SECRET: "s" };
  assertEquals(await needsOf({ apiHost: FULL.apiHost, timeoutMs: 5, ...MODEL }, {}, env), [
    "env VM_OIDC_ISSUER optional",
    "env VM_OIDC_CLIENT_ID optional",
    "env VM_API_KEY always",
    "env VM_API_SECRET always",
    NET[0],
  ]);
});

Deno.test('requiredPermissions: the placeholder "..." leaves all open', async () => {
  const dots = { apiKey: "...", apiSecret: "...", apiHost: "...", model: "...", timeoutMs: 5 };
  const env = { VM_API_KEY: "k", VM_API_SECRET: "s", VM_API_MODEL: "m" };
  const needs = await needsOf(dots, {}, { ...env, VM_API_HOST: "https://a.example.com" });
  assertEquals(needs.filter((line) => line.endsWith("always")), [
    "env VM_API_KEY always",
    "env VM_API_SECRET always",
    "env VM_API_MODEL always",
    "env VM_API_URL always",
    "env VM_API_HOST always",
    "net a.example.com:443 always",
  ]);
});

Deno.test("requiredPermissions: a fetch of the caller's own adds no host", async () => {
  const fetch = spyFetch(() => new Response());
  assertEquals(await needsOf({ ...FULL, ...MODEL, ...MEMORY, fetch }), []);
});

Deno.test("requiredPermissions: what the backend declares, writing only for a sign-in", async () => {
  const path = Deno.build.os === "windows" ? "C:\\my data\\c.json" : "/my data/c.json";
  const folder = path.slice(0, -"/c.json".length);
  const credentialsBackend = new FileCredentialsBackend({ path });
  assertEquals(await needsOf({ ...FULL, ...MODEL, credentialsBackend }), [
    ...NET,
    `read ${path} always`,
    `read ${folder} sign_in`,
    `write ${folder} sign_in`,
  ]);
});

/** A third-party backend that declares this. */
function declaring(declared: unknown): OidcCredentialsBackend {
  class TeamStore extends SpyBackend {
    requiredPermissions(): Deno.PermissionDescriptor[] {
      return declared as Deno.PermissionDescriptor[];
    }
  }
  return new TeamStore();
}

Deno.test("requiredPermissions: a backend that declares nothing adds nothing", async () => {
  for (const credentialsBackend of [new SpyBackend(), declaring([])]) {
    assertEquals(await needsOf({ ...FULL, ...MODEL, credentialsBackend }), NET);
  }
});

Deno.test("requiredPermissions: of what is declared twice the strongest counts", async () => {
  const credentialsBackend = declaring([
    { name: "net", host: "login.example.com:443" },
    { name: "net", host: "store.example.com" },
    { name: "net", host: "store.example.com", need: "sign_in" },
    { name: "sys", kind: "hostname", need: "sign_in" },
  ]);
  assertEquals((await needsOf({ ...FULL, ...MODEL, credentialsBackend })).sort(), [
    NET[0],
    "net login.example.com:443 always",
    "net store.example.com always",
    "sys hostname sign_in",
  ]);
});

const NONSENSE: unknown[] = [
  [null],
  ["read"],
  [{}],
  [{ name: "all" }],
  [{ name: "read", path: 5 }],
  [{ name: "net", host: "" }],
  [{ name: "env", variable: "A" }, undefined],
  "read",
  { name: "read" },
];

for (const declared of NONSENSE) {
  Deno.test(`requiredPermissions refuses a backend that declares ${Deno.inspect(declared)}`, async () => {
    const options = { ...FULL, ...MODEL, credentialsBackend: declaring(declared) };
    await rejectsWith("invalid_permissions", () => needsOf(options), "TeamStore");
  });
}

Deno.test("requiredPermissions: the variables that choose the backend, where they do", async () => {
  const options = { ...FULL, ...MODEL };
  const choice = [
    "env VM_OIDC_NO_PERSIST always",
    "env VM_OIDC_DENO_CREDENTIALS_BACKEND always",
    "env VM_OIDC_CREDENTIALS_BACKEND always",
  ];
  assertEquals(await needsOf(options, {}, { VM_OIDC_NO_PERSIST: "1" }), [...NET, choice[0]]);
  assertEquals(await needsOf(options, {}, { VM_OIDC_CREDENTIALS_BACKEND: "memory" }), [
    ...NET,
    ...choice,
    "env VM_OIDC_CREDENTIALS_BACKEND_KWARGS always",
  ]);
  const own = { VM_OIDC_DENO_CREDENTIALS_BACKEND: "memory", VM_OIDC_CREDENTIALS_BACKEND: "a.b:C" };
  assertEquals(await needsOf(options, {}, own), [
    ...NET,
    ...choice.slice(0, 2),
    "env VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS always",
  ]);
  await withTempHome(async (home) => {
    const folder = join(home, ".validmind");
    assertEquals(lines(await requiredPermissions(options)), [
      ...NET,
      ...choice,
      `env ${HOME} always`,
      `read ${join(folder, "credentials.json")} always`,
      `read ${folder} sign_in`,
      `write ${folder} sign_in`,
    ]);
    assertEquals([...Deno.readDirSync(home)], []);
  });
});

Deno.test("requiredPermissions: touches neither backend nor network", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  await requiredPermissions({ ...world.options, ...MODEL, credentialsBackend: backend });
  assertEquals([backend.calls, world.provider.requests, world.api.requests], [[], [], []]);
});

Deno.test("requiredPermissions: discover names the endpoints on other hosts", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.discovery = {
    token_endpoint: "https://tokens.example.com/token",
    jwks_uri: "https://keys.example.com:8443/jwks",
    revocation_endpoint: "https://tokens.example.com/revoke",
  };
  const { host } = new URL(world.provider.issuer);
  const options = { ...FULL, ...MEMORY, ...MODEL, issuer: world.provider.issuer };
  const known = [NET[0], `net ${host} sign_in`];
  assertEquals(await needsOf(options), known);
  const needs = await needsOf(options, { discover: true });
  assertEquals(
    needs.toSorted(),
    [
      ...known,
      "net keys.example.com:8443 sign_in",
      "net tokens.example.com:443 sign_in",
    ].toSorted(),
  );
  assertEquals(world.provider.requests.length, 1);
});

Deno.test("requiredPermissions: discover at a provider that is down is an error", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.discovery.push(() => new Response("busy", { status: 503 }));
  const options = { ...FULL, ...MEMORY, ...MODEL, issuer: world.provider.issuer };
  await rejectsWith("provider_unavailable", () => needsOf(options, { discover: true }), "503");
});

Deno.test("requiredPermissions: options are checked as by the call itself", async () => {
  const none = {} as Record<string, string>;
  const rows: [unknown, unknown, string[]][] = [
    [null, {}, ["not an object"]],
    [{ ...FULL, modell: "x" }, {}, ['"modell"']],
    [{ ...FULL, ...MODEL, issuer: 5 }, {}, ['"issuer"']],
    [{ ...FULL, ...MODEL, apiHost: "https://me:pw@a.example.com/" }, {}, ["apiHost (VM_API_HOST)"]],
    [{ ...FULL, ...MODEL }, { call: "createSession" }, ['unknown option "model"']],
    [{ ...FULL, ...MODEL }, { discovery: true }, ['"discovery"']],
    [{ ...FULL, ...MODEL }, { discover: 1 }, ['"discover"']],
  ];
  for (const [options, about, words] of rows) {
    const run = () => needsOf(options as InitOptions, about as RequiredPermissionsOptions, none);
    await rejectsWith("invalid_options", run, ...words);
  }
  await rejectsWith("missing_model", () => needsOf({ ...FULL, ...MEMORY }));
  await rejectsWith("missing_api_credentials", () => needsOf(MODEL));
});

Deno.test("requiredPermissions: a call that it does not know is refused", async () => {
  const about = { call: "reload" } as unknown as RequiredPermissionsOptions;
  await rejectsWith("invalid_options", () => needsOf({ ...FULL, ...MEMORY }, about), "call");
});

Deno.test("requiredPermissions: the browser flow needs a place to listen at, and may open a browser", async () => {
  const options = {
    issuer: "https://login.example.com",
    clientId: "my-app",
    apiHost: "https://api.example.com/",
    model: "cl123",
    credentialsBackend: new MemoryCredentialsBackend(),
    flow: "browser",
  } as const;
  const flags = async (more: InitOptions) => {
    const needs = await requiredPermissions({ ...options, ...more });
    const nets = needs.flatMap((need) =>
      need.name === "net" && need.need === "sign_in" ? need.host : []
    );
    return [nets.slice(1), needs.some(({ name, need }) => name === "run" && need === "optional")];
  };
  assertEquals(await flags({}), [["127.0.0.1:0"], true]);
  assertEquals(await flags({ openBrowser: false }), [["127.0.0.1:0"], false]);
  assertEquals(await flags({ onAuthorizationUrl: () => {} }), [["127.0.0.1:0"], false]);
  assertEquals(await flags({ redirectUri: "http://127.0.0.1:8000/cb" }), [
    ["127.0.0.1:8000"],
    true,
  ]);
  assertEquals(await flags({ listen: "127.0.0.1:8000,8001" }), [
    ["127.0.0.1:8000", "127.0.0.1:8001"],
    true,
  ]);
  assertEquals(await flags({ flow: "device" }), [[], false]);
});
