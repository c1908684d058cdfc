import {
  createSession,
  formatPermissionFlags,
  formatPermissionSet,
  type InitOptions,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
  requiredPermissions,
  type RequiredPermissionsOptions,
} from "@validmind/auth";
import { SCOPES } from "../../client/format_permissions.ts";
import { OwnEnv } from "../support/own_env.ts";
import { tempDir, withTempHome } from "../support/temp_home.ts";
import { scriptedProviderWorld } from "../support/provider_world.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { spyFetch } from "../support/spy_fetch.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { DENO, runDeno, runProcess } from "../support/deno_process.ts";
import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
/** All that an environment would be asked for, but for the backend. */
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
  debug: false,
  model: "cl-1",
} as const;
const { model: _, ...SESSION } = FULL;
const MEMORY = { credentialsBackend: new MemoryCredentialsBackend() };
const KEY = { apiKey: "k", apiSecret: "s" };
const isWindows = Deno.build.os === "windows";
const HOME = isWindows ? "USERPROFILE" : "HOME";

type Needs = Record<string, string>;

/** The narrowings of each kind and time, such as `{ "net always": "a.example.com:443" }`. */
async function needsOf(
  options: InitOptions,
  about: RequiredPermissionsOptions = {},
  env: Record<string, string> = {},
): Promise<Needs> {
  return await withTempHome(async (home) => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    const needs: Needs = {};
    for (const { name, reason, need, ...scope } of await requiredPermissions(options, about)) {
      assertEquals(reason.startsWith("to "), true);
      if (reason === "to read the settings file") continue;
      const kind = `${name} ${need}`;
      const value = String(Object.values(scope)[0]).replace(home, "~");
      needs[kind] = needs[kind] === undefined ? value : `${needs[kind]} ${value}`;
    }
    assertEquals([...Deno.readDirSync(home)], []);
    return needs;
  });
}

const NET = { "net always": "api.example.com:8443", "net sign_in": "login.example.com:443" };
const [NET_ALWAYS, NET_SIGN_IN] = Object.entries(NET).map((pair) => pair.join(": "));
const BOTH = `${NET_ALWAYS}; ${NET_SIGN_IN}`;
const OF_CLIENT =
  "VM_OIDC_SCOPE VM_OIDC_AUDIENCE VM_OIDC_PROFILE VM_OIDC_FLOW VM_OIDC_CLIENT_SECRET " +
  "VM_OIDC_CLIENT_SECRET_FILE VM_OIDC_CLIENT_KEY_FILE VM_OIDC_CLIENT_ASSERTION_FILE " +
  "VM_OIDC_CLIENT_ASSERTION VM_OIDC_INTERACTIVE CI VM_AUTH_DEBUG";
const [OF_KEY, AT_ISSUER] = ["VM_API_KEY=k VM_API_SECRET=s", `VM_OIDC_ISSUER=${OIDC.issuer}`];
const MORE = `${OF_CLIENT} VM_API_TIMEOUT`;
const JOB = "env sign_in: ACTIONS_ID_TOKEN_REQUEST_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const WHO = "VM_OIDC_ISSUER VM_OIDC_CLIENT_ID";
/** Which may lead requests to this computer to a proxy. */
const PROXY = ["NO_PROXY", "HTTP_PROXY", "ALL_PROXY"].flatMap((one) => [one, one.toLowerCase()])
  .join(" ");
const API_KEY = "VM_API_KEY VM_API_SECRET";
const BY_KEY = `env always: ${API_KEY}; env optional: ${WHO} VM_API_SECRET_FILE; ${NET_ALWAYS}`;
const OWN = "VM_OIDC_DENO_CREDENTIALS_BACKEND";
const CHOICE = `VM_OIDC_NO_PERSIST ${OWN} VM_OIDC_CREDENTIALS_BACKEND`;

/** Options, the needs of each kind and time, and variables. */
type Row = [options: InitOptions, needs: string, variables?: string];

const IN_MEMORY = { ...FULL, ...MEMORY };
const UNPROVEN = { ...IN_MEMORY, clientSecret: undefined };
const BARE = { apiHost: FULL.apiHost, timeoutMs: 5, model: "m" };
const DOTS = { apiKey: "...", apiSecret: "...", apiHost: "...", model: "..." };
const RUNNER = "ACTIONS_ID_TOKEN_REQUEST_URL=https://runner.example.com/idtoken?api-version=2.0";
const [FILE, FOLDER] = [["~", ".validmind", "credentials.json"], ["~", ".validmind"]]
  .map((parts) => join(...parts as [string]));
const twice = declaring([
  { name: "net", host: "login.example.com:443" },
  { name: "net", host: "store.example.com" },
  { name: "net", host: "store.example.com", need: "sign_in" },
  { name: "sys", kind: "hostname", need: "sign_in" },
  { name: "sys", kind: "uid", need: "optional" },
]);

const INIT: Row[] = [
  [IN_MEMORY, BOTH],
  [{ ...IN_MEMORY, fetch: spyFetch() }, ""], // a fetch of the caller's own adds no host
  [
    MEMORY,
    `env always: ${WHO} VM_API_MODEL VM_API_URL VM_API_HOST; env optional: ${API_KEY} ${MORE} ${PROXY}; ` +
    "net always: localhost:5000; net sign_in: localhost:9000", // the default API
    "VM_OIDC_ISSUER=http://localhost:9000/realm VM_OIDC_CLIENT_ID=c VM_API_MODEL=m",
  ],
  [
    { ...OIDC, model: "m", ...MEMORY }, // to know whose the API and the secret are:
    `env always: ${WHO} VM_API_URL VM_API_HOST; env optional: ${MORE}; ${BOTH}`,
    `VM_API_HOST=${FULL.apiHost}`,
  ],
  [
    { ...IN_MEMORY, clientId: undefined, apiHost: undefined, apiUrl: "http://[::1]:8080/" },
    // whose the client is
    `env always: ${WHO}; env optional: ${PROXY}; net always: [::1]:8080; ${NET_SIGN_IN}`,
    "VM_OIDC_CLIENT_ID=c",
  ],
  [{ ...IN_MEMORY, issuer: undefined }, `env always: VM_OIDC_ISSUER; ${BOTH}`, AT_ISSUER],

  // An API key needs neither provider nor backend.
  [{ ...KEY, ...BARE, credentialsBackend: declaring([]) }, NET_ALWAYS!],
  [BARE, BY_KEY, OF_KEY],
  [
    { ...DOTS, timeoutMs: 5 },
    `env always: ${API_KEY} VM_API_MODEL VM_API_URL VM_API_HOST; ` +
    `env optional: ${WHO} VM_API_SECRET_FILE; net always: a.example.com:443`,
    "VM_API_KEY=k VM_API_SECRET=s VM_API_MODEL=m VM_API_HOST=https://a.example.com",
  ],

  // The secret in a file: nobody looks for it in its variable.
  [{ ...BARE, apiKey: "k", apiSecretFile: "/s" }, `${NET_ALWAYS}; read always: /s`],
  [BARE, `${BY_KEY}; read always: /s`, "VM_API_KEY=k VM_API_SECRET_FILE=/s"],

  // Beside an issuer or a client of the code an API key in the variables does not count, and the reverse.
  [{ ...OIDC, ...BARE, ...MEMORY }, `env optional: ${WHO} ${OF_CLIENT}; ${BOTH}`, OF_KEY],
  [
    { clientId: "my-app", ...BARE, ...MEMORY },
    `env always: VM_OIDC_ISSUER; env optional: VM_OIDC_CLIENT_ID ${OF_CLIENT}; ${BOTH}`,
    `${AT_ISSUER} ${OF_KEY}`,
  ],
  [
    { apiKey: "k", ...BARE, ...MEMORY },
    `env always: ${API_KEY}; env optional: VM_API_SECRET_FILE; ${NET_ALWAYS}`,
    `${AT_ISSUER} VM_OIDC_CLIENT_ID=c VM_API_SECRET=s`,
  ],

  // The client's proof.
  ...["clientSecretFile", "clientKeyFile", "clientAssertionFile"].map((name): Row => [
    { ...UNPROVEN, [name]: "/f" },
    `${BOTH}; read sign_in: /f`,
  ]),
  [{ ...UNPROVEN, clientAssertion: () => "" }, BOTH],
  [{ ...UNPROVEN, clientAssertion: "github" }, `${BOTH} runner.example.com:443; ${JOB}`, RUNNER],
  [{ ...UNPROVEN, clientAssertion: "github", fetch: spyFetch() }, JOB, RUNNER],

  // The token to exchange, in that flow alone, and whatever proves the client.
  [{ ...IN_MEMORY, subjectTokenFile: "/t" }, BOTH],
  [
    { ...IN_MEMORY, flow: "token_exchange" },
    `${BOTH}; env optional: ${WHO} VM_OIDC_SUBJECT_TOKEN_FILE; read sign_in: /t`,
    `${AT_ISSUER} VM_OIDC_CLIENT_ID=my-app VM_OIDC_SUBJECT_TOKEN_FILE=/t`,
  ],

  [{ ...FULL, credentialsBackend: new SpyBackend() }, BOTH],
  [{ ...FULL, credentialsBackend: declaring([]) }, BOTH],
  // Of what is declared twice the strongest counts.
  [
    { ...FULL, credentialsBackend: twice },
    `${NET_ALWAYS} login.example.com:443 store.example.com; sys sign_in: hostname; sys optional: uid`,
  ],

  // The variables that choose the backend, where they do.
  [FULL, `env always: VM_OIDC_NO_PERSIST; ${BOTH}`, "VM_OIDC_NO_PERSIST=1"],
  [
    FULL,
    `env always: ${CHOICE} VM_OIDC_CREDENTIALS_BACKEND_KWARGS; ${BOTH}`,
    "VM_OIDC_CREDENTIALS_BACKEND=memory",
  ],
  [
    FULL,
    `env always: VM_OIDC_NO_PERSIST ${OWN} ${OWN}_KWARGS; ${BOTH}`,
    `${OWN}=memory VM_OIDC_CREDENTIALS_BACKEND=a.b:C`,
  ],
  [
    FULL,
    `env always: ${CHOICE} ${HOME}; ${BOTH}; read always: ${FILE}; read sign_in: ${FOLDER}; ` +
    `write sign_in: ${FOLDER}`,
  ],
];

const pairs = (text: string, between: string, within: RegExp) =>
  Object.fromEntries(
    text.split(between).filter(Boolean).map((part) => within.exec(part)!.slice(1)),
  );

for (const [options, needs, variables = ""] of INIT) {
  const { credentialsBackend, ...shown } = options;
  const what = { ...shown, ...(credentialsBackend && { credentialsBackend: "…" }) };
  Deno.test(`requiredPermissions: ${JSON.stringify(what)} ${variables}`, async () => {
    const env = pairs(variables, " ", /^(\w+)=(.*)/);
    assertEquals(await needsOf(options, {}, env), pairs(needs, "; ", /^(\w+ \w+): (.*)/));
  });
}

Deno.test("requiredPermissions: of createSession neither the model nor a default host", async () => {
  const call = "createSession";
  assertEquals(await needsOf({ ...SESSION, ...MEMORY }, { call }), NET);
  const { apiHost: _, ...options } = SESSION;
  assertEquals(await needsOf({ ...options, ...MEMORY }, { call }), {
    "env optional": `${WHO} VM_API_URL VM_API_HOST`,
    "net sign_in": NET["net sign_in"],
  });
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

Deno.test("requiredPermissions refuses what a backend declares wrongly, by its class", async () => {
  const env = { name: "env", variable: "A" };
  for (const declared of [...NO_DESCRIPTORS.map((one) => [env, one]), "read", { name: "read" }]) {
    const run = () => needsOf({ ...FULL, credentialsBackend: declaring(declared) });
    await rejectsWith("invalid_permissions", run, "TeamStore");
  }
});

Deno.test(
  "requiredPermissions: touches the network to discover hosts alone, by the issuer's grant",
  { permissions: { net: ["127.0.0.1"], env: true, read: true, write: true } },
  async () => {
    await using world = await scriptedProviderWorld();
    world.provider.discovery = {
      token_endpoint: "https://tokens.example.com/token",
      jwks_uri: "https://keys.example.com:8443/jwks",
      revocation_endpoint: "https://tokens.example.com/revoke",
    };
    const { issuer } = world.provider;
    const credentialsBackend = new SpyBackend();
    const options = { ...FULL, issuer, credentialsBackend };
    const { host } = new URL(issuer);
    const own = { ...NET, "net sign_in": host, "env optional": PROXY };
    assertEquals(await needsOf(options), own);
    assertEquals([credentialsBackend.calls, world.provider.requests], [[], []]);
    const { "net sign_in": hosts } = await needsOf(options, { discover: true });
    const others = ["keys.example.com:8443", "tokens.example.com:443"];
    assertEquals(hosts!.split(" ").toSorted(), [host, ...others].toSorted());
    assertEquals([credentialsBackend.calls, world.provider.requests.length], [[], 1]);
    world.provider.script.discovery.push(() => new Response("busy", { status: 503 }));
    await rejectsWith("provider_unavailable", () => needsOf(options, { discover: true }), "503");
  },
);

Deno.test("requiredPermissions: options are checked as by the call itself", async () => {
  const rows: [options: unknown, about: unknown, word: string][] = [
    [null, {}, "not an object"],
    [{ ...FULL, modell: "x" }, {}, '"modell"'],
    [FULL, { call: "createSession" }, 'unknown option "model"'],
    [FULL, { call: "reload" }, "call"],
    [FULL, { discovery: true }, '"discovery"'],
    [FULL, { discover: 1 }, '"discover"'],
  ];
  for (const [options, about, word] of rows) {
    const run = () => needsOf(options as InitOptions, about as RequiredPermissionsOptions);
    await rejectsWith("invalid_options", run, word);
  }
  await rejectsWith("missing_model", () => needsOf({ ...SESSION, ...MEMORY }));
});

const BROWSER: [options: InitOptions, listens: string, opens: boolean][] = [
  [{}, " 127.0.0.1:0", true],
  [{ openBrowser: false }, " 127.0.0.1:0", false],
  [{ onAuthorizationUrl: () => {} }, " 127.0.0.1:0", false],
  [{ redirectUri: "http://127.0.0.1:8000/cb" }, " 127.0.0.1:8000", true],
  [{ listen: "127.0.0.1:8000,8001" }, " 127.0.0.1:8000 127.0.0.1:8001", true],
  [{ flow: "device" }, "", false],
];

Deno.test("requiredPermissions: the browser flow listens, and may open a browser", async () => {
  for (const [options, listens, opens] of BROWSER) {
    const needs = await needsOf({ ...FULL, ...MEMORY, flow: "browser", ...options });
    assertEquals(needs["net sign_in"], NET["net sign_in"] + listens);
    const command = isWindows ? "rundll32" : Deno.build.os === "darwin" ? "open" : "xdg-open";
    assertEquals(needs["run optional"], opens ? command : undefined);
    assertEquals(/\bPATH\b/.test(needs["env optional"] ?? ""), opens);
    const ofHub = / JUPYTERHUB_PUBLIC_HUB_URL SSH_CONNECTION SSH_TTY\b/;
    assertEquals(ofHub.test(needs["env optional"] ?? ""), options.flow !== "device");
  }
});

type Descriptors = Deno.PermissionDescriptor[];

/** Descriptors, one a line: their kind, and what narrows them. */
function descriptors(text: string): Descriptors {
  return text.split("\n").filter(Boolean).map((line) => {
    const [name, scope] = line.trim().split(/=(.*)/s);
    const member = scope === undefined ? {} : { [SCOPES[name as keyof typeof SCOPES]]: scope };
    return { name, ...member } as Deno.PermissionDescriptor;
  });
}

const FLAGS: [descriptors: string, flags: string][] = [
  ["", ""],
  // Kinds in a fixed order, in whichever way they come.
  ["env=A\nnet=a.b\nwrite=/d", "--allow-write=/d --allow-net=a.b --allow-env=A"],
  // Values of a kind together, each once, and none that a wider one covers.
  ["net=a.b:443\nnet=c.d\nnet=a.b:443", "--allow-net=a.b:443,c.d"],
  ["read=/d/x\nread=/d\nread=/dx", "--allow-read=/d,/dx"],
  ["net\nsys", "--allow-net --allow-sys"],
  ["read=/d\nread", "--allow-read"],
  ["ffi=/lib/x.so\nrun=git", "--allow-run=git --allow-ffi=/lib/x.so"],
  ["sys=hostname\nimport=jsr.io:443", "--allow-sys=hostname --allow-import=jsr.io:443"],
];

Deno.test("formatPermissionFlags: the fewest flags that grant all, quoted for the shell", () => {
  for (const [text, flags] of FLAGS) {
    assertEquals(formatPermissionFlags(new Set(descriptors(text))), flags);
  }
  const need = { name: "env", variable: "A", need: "always", reason: "x" } as const;
  assertEquals(formatPermissionFlags([need]), "--allow-env=A");
  if (isWindows) return;
  const path = new URL("file:///my%20data/x%0Ay");
  assertEquals(formatPermissionFlags([{ name: "read", path }]), "'--allow-read=/my data/x\ny'");
  const ipv6 = formatPermissionFlags(descriptors("net=[::1]:8080"));
  assertEquals(ipv6, "'--allow-net=[::1]:8080'");
});

const NO_DESCRIPTORS: unknown[] = [
  ...[undefined, null, "read", ["read"], {}],
  ...["hrtime", "all", "toString"].map((name) => ({ name })),
  ...[5, null, ""].map((path) => ({ name: "read", path })),
  ...[{}, "::::"].map((host) => ({ name: "net", host })),
  { name: "env", variable: false },
];

Deno.test("formatPermission…: what is no descriptor is refused, and a comma in a flag", async () => {
  for (const descriptor of NO_DESCRIPTORS) {
    for (const format of [formatPermissionFlags, formatPermissionSet]) {
      const run = () => Promise.try(() => format([descriptor] as Descriptors));
      await rejectsWith("invalid_permissions", run, "the list", "Declare");
    }
  }
  for (const one of descriptors("read=/a,b\nnet=a.example.com,b.example.com\nenv=A,B")) {
    const run = () => Promise.try(() => formatPermissionFlags([one]));
    const words = [`--allow-${one.name}`, "comma", "permission set"];
    await rejectsWith("invalid_permissions", run, ...words);
  }
});

Deno.test("formatPermissionSet: grouped, each once, true where it is not narrowed", () => {
  assertEquals(JSON.parse(formatPermissionSet([])), { permissions: { validmind: {} } });
  const named = formatPermissionSet(descriptors("env=HOME"), 'my "set"');
  assertEquals(JSON.parse(named), { permissions: { 'my "set"': { env: ["HOME"] } } });
  const text = formatPermissionSet([
    ...descriptors("net=a.example.com:443\nread=/a,b\nnet=a.example.com:443\nnet=[::1]:8080"),
    ...descriptors("sys\nsys=hostname"),
    { name: "write", path: new URL("file:///my%20data") },
  ]);
  assertEquals(JSON.parse(text).permissions.validmind, {
    read: ["/a,b"],
    write: [fromFileUrl("file:///my%20data")],
    net: ["a.example.com:443", "[::1]:8080"],
    sys: true,
  });
});

/** Tells the states of descriptors; without a terminal an open one is denied. */
const TELL = `console.log(JSON.parse(Deno.args[0])
  .map((one) => Deno.permissions.querySync(one).state).join().replaceAll("prompt", "denied"));`;

Deno.test("formatPermission…: a shell and Deno understand it", { ignore: isWindows }, async () => {
  await using dir = await tempDir();
  const { path } = dir;
  await Deno.writeTextFile(`${path}/main.ts`, TELL);
  const given = (odd: string) =>
    descriptors(`read=${path}/my data\nread=${path}/${odd}\nwrite=${path}/größe/日本
        net=[::1]:8080\nnet=127.0.0.1:9999\nenv=HOME\nsys=hostname`);
  const others = descriptors(`read=${path}/my\nread=${path}\nnet=[::1]:8081\nenv=PATH`);
  const [byFlags, bySet] = [given(`it's $HOME "x" \`y\` \\z*~`), given("a,b 'c'")];
  const flags = formatPermissionFlags(byFlags);
  const command = `"$0" run --quiet --no-config --no-prompt ${flags} "$1" "$2"`;
  const tell = (descriptors: Descriptors) => JSON.stringify([...descriptors, ...others]);
  const shell = ["sh", "-c", command, DENO, `${path}/main.ts`, tell(byFlags)];
  await Deno.writeTextFile(`${path}/deno.json`, formatPermissionSet(bySet));
  const set = { file: "main.ts", config: false, flags: ["-P=validmind"], args: [tell(bySet)] };
  for (const run of [() => runProcess(shell), () => runDeno({ ...set, cwd: path })]) {
    const { stdout, stderr } = await run();
    const expected = [...bySet.map(() => "granted"), ...others.map(() => "denied")];
    assertEquals(stdout.trim().split(","), expected, stderr);
  }
});

Deno.test("a variable that does not fit is refused in whole words, too, where few may be read", {
  permissions: { env: ["VM_OIDC_FLOW"] },
}, async () => {
  using _ = new OwnEnv({ VM_OIDC_FLOW: "divice" });
  const run = () => createSession(OIDC);
  await rejectsWith("invalid_options", run, "Cannot sign in: VM_OIDC_FLOW is not one of");
});
