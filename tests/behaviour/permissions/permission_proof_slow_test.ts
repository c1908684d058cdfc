// The promise of design section 7, proven: what is declared is enough, all of it is needed, and
// nothing beyond it is touched.
import { fromFileUrl } from "@std/path";
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  createSession,
  credentialKey,
  formatPermissionFlags,
  loadBackendFromEnv,
  type OidcCredentialsBackend,
  type PermissionNeed,
  requiredPermissions,
} from "@validmind/auth";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { OwnEnv, withEnv } from "../../support/own_env.ts";
import { runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";
import { accessed, covers } from "./audit_log.ts";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { AssertionIssuer, withClient } from "../../support/client_world.ts";
import { startGitHubRunner } from "../../support/key_world.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import {
  type BackendInput,
  type FlowInput,
  flowOptions,
  type FlowOutcome,
  makeBackend,
} from "./permission_flows.ts";

const FLOWS = fromFileUrl(new URL("./permission_flows.ts", import.meta.url));

interface Case {
  name: string;
  flow: FlowInput["flow"];
  backend: (folder: string) => BackendInput | "environment";
  target?: (folder: string) => BackendInput;
  /** Other options, of a client that proves who it is. */
  more?: (folder: string) => NonNullable<FlowInput["more"]>;
  /** Variables of the child, beside its home. */
  env?: (folder: string) => Record<string, string>;
}

const file = (folder: string): BackendInput => ({
  kind: "file",
  path: `${folder}/a b/credentials.json`,
});
const home = (): BackendInput => ({ kind: "file" });
const kv = (folder: string): BackendInput => ({ kind: "kv", path: `${folder}/kv.db` });
const memory = (): BackendInput => ({ kind: "memory" });
const kvMemory = (): BackendInput => ({ kind: "kv" });
const byName = () => "environment" as const;
const namedFile = (folder: string) => ({
  VM_OIDC_CREDENTIALS_BACKEND: "file",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: `${folder}/named/credentials.json` }),
});

const KEY = (await testKey()).toBase64();
const encryptedFile = (folder: string) => ({
  VM_OIDC_CREDENTIALS_BACKEND: "encrypted",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({
    backend: { name: "file", options: { path: `${folder}/named/credentials.json` } },
    key: { env: "TEST_KEY" },
  }),
  TEST_KEY: KEY,
});
const keyInFile = (folder: string) => ({
  VM_OIDC_CREDENTIALS_BACKEND: "encrypted",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({
    backend: { name: "file", options: { path: `${folder}/named/credentials.json` } },
    key: { backend: { name: "file", options: { path: `${folder}/keys/credentials.json` } } },
  }),
});
const fallback = (folder: string) => ({
  VM_OIDC_CREDENTIALS_BACKEND: "fallback",
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({
    backends: ["one", "two"].map((name) => ({
      name: "file",
      options: { path: `${folder}/${name}/credentials.json` },
    })),
  }),
});

const CASES: Case[] = [
  ...(["sign in", "cached start", "refresh", "clear"] as const).flatMap((flow): Case[] => [
    { name: `file, ${flow}`, flow, backend: file },
    { name: `file in the home folder, ${flow}`, flow, backend: home },
    { name: `kv in a file, ${flow}`, flow, backend: kv },
    { name: `file named by the environment, ${flow}`, flow, backend: byName, env: namedFile },
    { name: `encrypted file, ${flow}`, flow, backend: byName, env: encryptedFile },
    { name: `encrypted file, key in a file, ${flow}`, flow, backend: byName, env: keyInFile },
    { name: `fallback of two files, ${flow}`, flow, backend: byName, env: fallback },
  ]),
  { name: "memory, sign in", flow: "sign in", backend: memory },
  { name: "memory, browser", flow: "browser", backend: memory },
  {
    name: "file, a client's key",
    flow: "sign in",
    backend: file,
    more: (folder) => ({ flow: "client_credentials", clientKeyFile: `${folder}/key.json` }),
  },
  {
    name: "file, an assertion of GitHub Actions",
    flow: "sign in",
    backend: file,
    more: () => ({ flow: "client_credentials", clientAssertion: "github" }),
  },
  {
    name: "file, a token to exchange",
    flow: "sign in",
    backend: file,
    more: (folder) => ({
      flow: "token_exchange",
      subjectTokenFile: `${folder}/subject`,
      clientKeyFile: `${folder}/key.json`,
    }),
  },
  { name: "file, browser", flow: "browser", backend: file },
  { name: "kv in memory, sign in", flow: "sign in", backend: kvMemory },
  {
    name: "memory named by the environment, sign in",
    flow: "sign in",
    backend: byName,
    env: () => ({ VM_OIDC_NO_PERSIST: "1" }),
  },
  { name: "file to kv, migrate", flow: "migrate", backend: file, target: kv },
  { name: "kv to file, migrate", flow: "migrate", backend: kv, target: file },
];

for (const one of CASES) {
  Deno.test(`permissions: ${one.name}: what is declared is enough, and no less is`, async () => {
    await using world = await permissionWorld(one);
    const needs = await world.needs();
    assertEquals(await world.run(permissionFlagsOf(needs)), { ok: true });
    for (const dropped of needs) {
      await world.prepare();
      const outcome = await world.run(permissionFlagsOf(needs.filter((need) => need !== dropped)));
      assertEquals([outcome.ok, outcome.code], [false, "permission_required"], outcome.message);
      // The flag itself, or that of the folder, which the whole call needs anyway.
      const [flag, value] = formatPermissionFlags([dropped]).replaceAll(/['"]/g, "").split("=");
      const scope = value!.replace(/[/\\]credentials\.json$/, "");
      assertMatch(outcome.message!, new RegExp(`${flag}=[^\\n]*${RegExp.escape(scope)}`));
    }
  });

  Deno.test(`permissions: ${one.name}: Deno's audit log has nothing beyond`, async () => {
    await using world = await permissionWorld(one);
    const log = `${world.folder}/audit.jsonl`;
    const needs = [...await world.needs(), ...await world.optionalNeeds()];
    assertEquals(await world.run(["-A"], { DENO_AUDIT_PERMISSIONS: log }), { ok: true });
    const accesses = (await Deno.readTextFile(log)).trim().split("\n").filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { permission: string; value: string })
      .filter(({ permission }) => permission !== "import") // Deno itself, loading the module
      // Used where granted: the user's id; and the folder above, which is synced. The log counts
      // opening a folder as a write, too, and a look at an open file.
      .filter(({ permission, value }) => `${permission} ${value}` !== "sys uid")
      // Options without a name are refused, so they are looked for where that is granted.
      .filter(({ value }) => value !== "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS")
      .map((access) => ({ ...access, value: accessed(access.value) }))
      .filter(({ value }) => value !== world.folder)
      .filter(({ permission, value }) =>
        permission !== "write" || !/\/((key|settings)\.json|subject)$/.test(value)
      );
    const beyond = accesses.filter((access) => !needs.some((need) => covers(need, access)));
    assertEquals(beyond, []);
    const isIdle = needs.every(({ need }) => need === "optional");
    assert(accesses.length > 0 || isIdle, "the log is empty: it proves nothing");
  });
}

/** One case with its provider, its API and its folder, ready for the flow to begin. */
async function permissionWorld(one: Case) {
  const ownEnv = new OwnEnv();
  const folder = await tempDir();
  const signer = await AssertionIssuer.make();
  const { publicJwk, privateJwk } = signer.key;
  const client = withClient({ method: "private_key_jwt", keys: [publicJwk] });
  const provider = await startOidcProvider(one.more ? client : { interval: 0.05 });
  provider.autoApprove = true;
  const api = await startTrackingApi();
  const path = folder.path;
  const input: FlowInput = {
    flow: one.flow,
    backend: one.backend(path),
    ...(one.target && { target: one.target(path) }),
    ...(one.more && { more: one.more(path) }),
    issuer: provider.issuer,
    clientId: provider.clientId,
    apiHost: api.apiHost,
  };
  const runner = await startGitHubRunner((aud) => signer.assertion(aud, provider.clientId));
  const env = { HOME: path, ...one.env?.(path), ...one.more && runner.variables };
  await Deno.mkdir(`${path}/a b`);
  await Deno.writeTextFile(`${path}/key.json`, JSON.stringify(privateJwk), { mode: 0o600 });
  await Deno.writeTextFile(`${path}/subject`, "a-token-of-a-person", { mode: 0o600 });
  const world = {
    folder: path,
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
    [Symbol.asyncDispose]: async () => {
      ownEnv[Symbol.dispose]();
      await provider[Symbol.asyncDispose]();
      await runner[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
  await world.prepare();
  return world;
}

async function prepare(
  input: FlowInput,
  folder: string,
  one: Case,
  provider: TestOidcProvider,
): Promise<void> {
  const backend = await parentBackend(input.backend, folder, one);
  if (backend === undefined) return;
  const { issuer, clientId } = input;
  const key = credentialKey(
    issuer,
    clientId,
    undefined,
    one.more?.(folder),
  );
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
async function parentBackend(
  input: BackendInput | "environment",
  folder: string,
  one: Case,
): Promise<OidcCredentialsBackend | undefined> {
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
async function needsOf(
  input: FlowInput,
  env: Record<string, string>,
  optional: boolean,
): Promise<PermissionNeed[]> {
  const needs = await withEnv(env, async () => {
    if (input.flow === "migrate") return migrationNeeds(input);
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

function migrationNeeds(input: FlowInput): PermissionNeed[] {
  const both = [input.backend as BackendInput, input.target!].map((one) => makeBackend(one)!);
  return both.flatMap((backend) => backend.requiredPermissions!()).map((descriptor) => ({
    ...descriptor,
    reason: "to migrate",
    need: "always" as const,
  }));
}
