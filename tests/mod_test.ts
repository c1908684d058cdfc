import { assertEquals } from "@std/assert";
import * as vm from "../mod.ts";
import { denoInfo, runDeno } from "./support/deno_process.ts";

const MOD = new URL("../mod.ts", import.meta.url).href;

/** What users may call. A name that is taken away breaks them; one that is added stays for good. */
const NAMES = `
  ApiError CredentialsBackendError FileCredentialsBackend KvCredentialsBackend
  MemoryCredentialsBackend MissingApiCredentialsError MissingModelIdError NullCredentialsBackend
  ValidMindAuthError
  clearOidcCredentials createSession credentialKey credentialsPath discoverApi
  formatPermissionFlags formatPermissionSet getDefaultBackend getSession init isExpired loadBackendFromEnv
  migrateCredentials normalizeAudience normalizeClientId normalizeIssuer reload
  requiredPermissions resolveCredentialsBackend setDefaultBackend startSignIn withFileLock
`.trim().split(/\s+/);

interface GraphModule {
  specifier: string;
  dependencies?: { isDynamic?: boolean; code?: { specifier?: string } }[];
}

/** All that an import of `root` loads, dynamic imports left out. */
async function staticGraph(root: string): Promise<string[]> {
  const { modules } = await denoInfo<{ modules: GraphModule[] }>([root]);
  const next = new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.filter(({ isDynamic }) => !isDynamic).flatMap(({ code }) => code?.specifier ?? []),
  ]));
  const seen = new Set([root]);
  for (const specifier of seen) next.get(specifier)?.forEach((one) => seen.add(one));
  return [...seen];
}

Deno.test("mod.ts: exports exactly these names", () => {
  assertEquals(Object.keys(vm).sort(), NAMES);
});

Deno.test("mod.ts: an import needs no permission and has no effect", async () => {
  const code = `
    const before = JSON.stringify(Object.getOwnPropertyNames(globalThis).sort());
    await import(${JSON.stringify(MOD)});
    const after = JSON.stringify(Object.getOwnPropertyNames(globalThis).sort());
    console.log(before === after);
  `;
  const result = await runDeno({ code, flags: ["--no-npm"] });
  assertEquals(result, { code: 0, stdout: "true\n", stderr: "" });
});

Deno.test("mod.ts: an import loads nothing from npm and no Node module", async () => {
  const graph = await staticGraph(MOD);
  assertEquals(graph.filter((specifier) => /^(npm|node):|oauth4webapi/.test(specifier)), []);
  assertEquals(graph.includes(new URL("../client/init.ts", import.meta.url).href), true);
});
