import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, SEPARATOR } from "@std/path";
import {
  createSession,
  credentialKey,
  loadBackendFromEnv,
  type PermissionNeed,
  requiredPermissions,
} from "@validmind/auth";
import { netHost } from "../../../backends/common/host.ts";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { AssertionIssuer, withClient } from "../../support/client_world.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startGitHubRunner } from "../../support/key_world.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { OwnEnv, withEnv } from "../../support/own_env.ts";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import {
  type BackendInput,
  type FlowInput,
  flowOptions,
  type FlowOutcome,
  makeBackend,
} from "./permission_flows.ts";

// The promise of design section 7, proven: what is declared is enough, all of it is needed, and
// nothing beyond it is touched.
const FLOWS = fromFileUrl(new URL("./permission_flows.ts", import.meta.url));

interface Store {
  /** Absent where variables name it. */
  backend?: (folder: string) => BackendInput;
  /** Variables of the child, beside its home. */
  env?: (folder: string) => Record<string, string>;
}

interface Case extends Store {
  name: string;
  flow: FlowInput["flow"];
  /** Other options, of a client that proves who it is. */
  more?: (folder: string) => NonNullable<FlowInput["more"]>;
}

function named(name: string, options: (folder: string) => unknown, more = {}): Store {
  return {
    env: (folder) => ({
      VM_OIDC_CREDENTIALS_BACKEND: name,
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options(folder)),
      ...more,
    }),
  };
}

const inFile = (folder: string, name: string) => ({
  name: "file",
  options: { path: `${folder}/${name}/credentials.json` },
});
const KEY = (await testKey()).toBase64();

const FILE: Store = {
  backend: (folder) => ({ kind: "file", path: `${folder}/a b/credentials.json` }),
};
const KV: Store = { backend: (folder) => ({ kind: "kv", path: `${folder}/kv.db` }) };
const MEMORY: Store = { backend: () => ({ kind: "memory" }) };

const STORES: Record<string, Store> = {
  "file": FILE,
  "file in the home folder": { backend: () => ({ kind: "file" }) },
  "kv in a file": KV,
  "file named by the environment": named("file", (folder) => inFile(folder, "named").options),
  "encrypted file": named("encrypted", (folder) => ({
    backend: inFile(folder, "named"),
    key: { env: "TEST_KEY" },
  }), { TEST_KEY: KEY }),
  "encrypted file, key in a file": named("encrypted", (folder) => ({
    backend: inFile(folder, "named"),
    key: { backend: inFile(folder, "keys") },
  })),
  "fallback of two files": named("fallback", (folder) => ({
    backends: ["one", "two"].map((name) => inFile(folder, name)),
  })),
};

const FLOWS_OF_ALL = ["sign in", "cached start", "refresh", "clear"] as const;
const CLIENT = { flow: "client_credentials" } as const;
const key = (folder: string) => ({ clientKeyFile: `${folder}/key.json` });
const CLIENTS: Record<string, NonNullable<Case["more"]>> = {
  "a client's key": (folder) => ({ ...CLIENT, ...key(folder) }),
  "an assertion of GitHub Actions": () => ({ ...CLIENT, clientAssertion: "github" }),
  "a token to exchange": (folder) => ({
    flow: "token_exchange",
    subjectTokenFile: `${folder}/subject`,
    ...key(folder),
  }),
};

const CASES: Case[] = [
  ...Object.entries(STORES).flatMap(([name, store]) =>
    FLOWS_OF_ALL.map((flow): Case => ({ name: `${name}, ${flow}`, flow, ...store }))
  ),
  { name: "memory, sign in", flow: "sign in", ...MEMORY },
  { name: "memory, browser", flow: "browser", ...MEMORY },
  ...Object.entries(CLIENTS).map(([name, more]): Case => ({
    name: `file, ${name}`,
    flow: "sign in",
    ...FILE,
    more,
  })),
  { name: "file, browser", flow: "browser", ...FILE },
  { name: "kv in memory, sign in", flow: "sign in", backend: () => ({ kind: "kv" }) },
  { name: "memory by variable", flow: "sign in", env: () => ({ VM_OIDC_NO_PERSIST: "1" }) },
];

for (const one of CASES) {
  Deno.test(`permissions: ${one.name}: what is declared is enough, no less is, and nothing beyond is used`, async () => {
    await using world = await permissionWorld(one);
    const needs = await world.needs();
    const log = `${world.folder}/audit.jsonl`;
    assertEquals(await world.run(["-A"], { DENO_AUDIT_PERMISSIONS: log }), { ok: true });
    const all = [...needs, ...await world.optionalNeeds()];
    const accesses = await readLog(log, world.folder);
    assertEquals(accesses.filter((access) => !all.some((need) => covers(need, access))), []);
    const isIdle = all.every(({ need }) => need === "optional");
    assert(accesses.length > 0 || isIdle, "the log is empty: it proves nothing");
    await world.prepare();
    assertEquals(await world.run(permissionFlagsOf(needs)), { ok: true });
    for (const dropped of needs) {
      await world.prepare();
      const outcome = await world.run(permissionFlagsOf(needs.filter((need) => need !== dropped)));
      assertEquals([outcome.ok, outcome.code], [false, "permission_required"], outcome.message);
      if (one.flow === "refresh") assertEquals(world.provider.requests, [], "it was sent");
      // The flag itself, or that of the folder, which the whole call needs anyway.
      const [flag, value] = permissionFlagsOf([dropped])[0]!.split("=");
      const scope = value!.replace(/[/\\]credentials\.json$/, "");
      const access = [scope, scope.replaceAll("'", "'\\''")].map(RegExp.escape).join("|");
      assertMatch(outcome.message!, new RegExp(`(${flag}=|does not permit )[^\\n]*(${access})`));
    }
  });
}

interface Access {
  permission: string;
  value: string;
}

/** What Deno's audit log tells of the module, but for what is used only where it is granted. */
async function readLog(log: string, folder: string): Promise<Access[]> {
  const lines = (await Deno.readTextFile(log)).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Access)
    // A folder is opened by the name of the dot in it, which only a folder has.
    .map(({ permission, value }) => ({ permission, value: value.replace(/[/\\]\.$/, "") }))
    .filter(({ permission, value }) =>
      permission !== "import" && // Deno itself, loading the module
      `${permission} ${value}` !== "sys uid" &&
      // Options without a name are refused, so they are looked for.
      value !== "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS" &&
      // The folder above is synced. Opening a folder counts as a write, and a look at an open file.
      value !== folder &&
      !(permission === "write" && /\/((key|settings)\.json|subject)$/.test(value))
    );
}

/** Windows has two separators, and the log has each path as it was given. */
const plain = (path: string) => path.replaceAll("/", SEPARATOR);

/** Whether a need grants an access of Deno's audit log. */
function covers(need: PermissionNeed, { permission, value }: Access): boolean {
  if (need.name !== permission) return false;
  if (need.name === "env") return need.variable === value;
  // A request is logged as its address, a listener as its host and port.
  if (need.name === "net") {
    return need.host === (/^https?:/.test(value) ? netHost(new URL(value)) : value);
  }
  if (need.name !== "read" && need.name !== "write") return false;
  const [path, wanted] = [plain(value), plain(String(need.path ?? ""))];
  return path === wanted || path.startsWith(`${wanted}${SEPARATOR}`) ||
    wanted === path.replace(/-(wal|shm|journal)$/, "");
}

/** One case with its provider, its API and its folder, ready for the flow to begin. */
async function permissionWorld(one: Case) {
  await using stack = new AsyncDisposableStack();
  stack.use(new OwnEnv());
  const { path } = stack.use(await tempDir());
  const signer = await AssertionIssuer.make();
  const { publicJwk, privateJwk } = signer.key;
  const client = withClient({ method: "private_key_jwt", keys: [publicJwk] });
  const provider = stack.use(await startOidcProvider(one.more ? client : { interval: 0.05 }));
  provider.autoApprove = true;
  const api = stack.use(await startTrackingApi());
  const input: FlowInput = {
    flow: one.flow,
    backend: one.backend?.(path) ?? "environment",
    ...(one.more && { more: one.more(path) }),
    issuer: provider.issuer,
    clientId: provider.clientId,
    apiHost: api.apiHost,
  };
  const runner = await startGitHubRunner((aud) => signer.assertion(aud, provider.clientId));
  stack.use(runner);
  const env = { HOME: path, ...one.env?.(path), ...one.more && runner.variables };
  await Deno.mkdir(`${path}/a b`);
  await Deno.writeTextFile(`${path}/key.json`, JSON.stringify(privateJwk), { mode: 0o600 });
  await Deno.writeTextFile(`${path}/subject`, "a-token-of-a-person", { mode: 0o600 });
  const started = stack.move();
  const world = {
    folder: path,
    provider,
    /** Puts the store into the state in which the flow begins. */
    prepare: () => prepare(input, path, one, provider),
    needs: () => needsOf(input, env, false),
    optionalNeeds: () => needsOf(input, env, true),
    run: async (flags: string[], more: Record<string, string> = {}): Promise<FlowOutcome> => {
      const { stdout, stderr } = await runDeno({
        file: FLOWS,
        flags: ["--unstable-kv", ...flags],
        args: [JSON.stringify(input)],
        env: { ...env, ...more },
        cwd: path,
      });
      assert(stdout !== "", stderr);
      return JSON.parse(stdout);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
  await world.prepare();
  return world;
}

async function prepare(input: FlowInput, folder: string, one: Case, provider: TestOidcProvider) {
  const backend = await parentBackend(input.backend, folder, one);
  if (backend === undefined) return;
  const { issuer, clientId } = input;
  const key = credentialKey(issuer, clientId, undefined, one.more?.(folder));
  await backend.delete(key);
  if (one.flow !== "sign in" && one.flow !== "browser") {
    await createSession({ issuer, clientId, credentialsBackend: backend, onDeviceCode: () => {} });
  }
  if (one.flow === "refresh") {
    const entry = await backend.get(key);
    await backend.put(key, { ...entry!, expires_at: "2020-01-01T00:00:00Z" });
  }
  await backend.close?.();
  provider.reset();
}

/** The store that the child will use, as the parent reaches it; none for what lives in the child. */
async function parentBackend(input: BackendInput | "environment", folder: string, one: Case) {
  if (input !== "environment") {
    if (input.kind === "memory" || (input.kind === "kv" && input.path === undefined)) return;
    const path = input.path ?? `${folder}/.validmind/credentials.json`;
    return makeBackend({ ...input, path });
  }
  const env = one.env?.(folder) ?? {};
  if (env.VM_OIDC_CREDENTIALS_BACKEND === undefined) return;
  return await withEnv(env, async () => {
    const backend = await loadBackendFromEnv();
    await backend?.put("probe", { issuer: "i", client_id: "c", access_token: "" }); // reads its key
    await backend?.delete("probe");
    return backend;
  });
}

/** What the module itself declares for the flow. */
async function needsOf(input: FlowInput, env: Record<string, string>, optional: boolean) {
  const needs = await withEnv(env, async () => {
    const { interactive: _, ...options } = flowOptions(input);
    if (input.flow !== "clear") return await requiredPermissions(options);
    const { apiHost: _1, model: _2, ...named } = options;
    return await requiredPermissions(named, { call: "createSession" });
  });
  const isWanted = (need: PermissionNeed) =>
    optional
      ? need.need === "optional" || need.need === "sign_in"
      : need.need === "always" || (need.need === "sign_in" && input.flow !== "cached start");
  const wanted = needs.filter(isWanted);
  return wanted.filter((need) => !wanted.some((wider) => isCovered(need, wider)));
}

/** Whether a path is granted with the folder that it lies in. */
function isCovered(need: PermissionNeed, wider: PermissionNeed): boolean {
  if (need.name !== "read" && need.name !== "write") return false;
  return wider.name === need.name && String(need.path).startsWith(`${wider.path}/`);
}
