import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import {
  HelperCredentialsBackend,
  type HelperCredentialsBackendOptions,
} from "../../../backends/helper.ts";
import {
  type VaultAuth,
  VaultCredentialsBackend,
  type VaultCredentialsBackendOptions,
} from "../../../backends/vault.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { ROWS } from "../../client/provider/refusal_rows.ts";
import { Random } from "../../lab/torture/random.ts";
import { mustRun } from "../../support/deno_process.ts";
import { hang, json, resetConnection, startHttpServer } from "../../support/http_server.ts";
import {
  oauthError,
  type ScriptHandler,
  startScriptedProvider,
} from "../../support/scripted_provider.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";
import { writeProgram } from "../../support/write_program.ts";
import { bothRounds, type BothStore } from "./both_rounds.ts";
import { startHubVault } from "./hub_vault.ts";
import { pythonLibrary } from "./python_library.ts";

const [ISSUER, CLIENT] = ["https://login.example.com", "my-client"];
const ENTRY = { access_token: "at-1", refresh_token: "rt-1", expires_at: "2099-01-01T00:00:00Z" };
/** By hand: 100. */
const ROUNDS = Number(Deno.env.get("VM_TEST_ROUNDS") ?? 10);
const SEED = 49;

/** The calls of the library's release, and those of its pull request for stores. */
const CALLS = { "the release": "", "the pull request": ", backend=object()" };

const live = await liveTests("vault", "validmind-library");
const stack = new AsyncDisposableStack();
live.afterAll(() => stack.disposeAsync());
/** Vault serves all tests of this file. */
const shared = { sanitizeOps: false, sanitizeResources: false };
const test = (name: string, fn: () => Promise<void>) =>
  live.test(`validmind_store.py: ${name}`, shared, fn);

const it = await live.shared(async () => {
  const { vault, login } = await startHubVault();
  stack.use(vault);
  const { path: folder } = stack.use(await tempDir());
  const jwtFile = `${folder}/login`;
  await Deno.writeTextFile(jwtFile, await login("anna"), { mode: 0o600 });
  return { vault, folder, jwtFile };
});

/** The store in Vault; each is in a folder of its own. */
function vaultStore(more: Partial<VaultCredentialsBackendOptions> = {}): BothStore {
  const { vault, jwtFile } = it;
  const path = `users/anna/${crypto.randomUUID()}`;
  const options = { path, auth: { method: "jwt", role: "notebooks", jwtFile }, ...more } as const;
  const env = { VAULT_ADDR: vault.url };
  return {
    backend: new VaultCredentialsBackend({ address: vault.url, ...options }),
    python: pythonLibrary("vault", options, env),
  };
}

async function helperStore(
  env: Record<string, string> = {},
  more: Partial<HelperCredentialsBackendOptions> = {},
): Promise<BothStore> {
  const place = `${it.folder}/${crypto.randomUUID()}`;
  await Deno.mkdir(place);
  const program = `${place}/helper`;
  const script = fromFileUrl(new URL("./file_helper.py", import.meta.url));
  writeProgram(
    program,
    `#!/bin/sh\nexec ${await serverBinary("validmind-library")} ${script} "$@"\n`,
  );
  await Deno.mkdir(`${place}/entries`);
  const options = {
    program,
    env: { FOLDER: `${place}/entries`, ...env },
    lockFolder: `${place}/locks`,
    ...more,
  };
  return {
    backend: new HelperCredentialsBackend(options),
    python: pythonLibrary("helper", options),
  };
}

const STORES: Record<string, () => BothStore | Promise<BothStore>> = {
  "Vault": () => vaultStore(),
  "a helper": () => helperStore(),
};

for (const [store, open] of Object.entries(STORES)) {
  for (const [library, backend] of Object.entries(CALLS)) {
    test(`one store for both languages: ${store}, by the calls of ${library}`, async () => {
      const { python, backend: deno } = await open();
      for (const audience of [undefined, `api://${"long/".repeat(20)}`]) {
        const key = credentialKey(ISSUER, CLIENT, audience);
        const call = (name: string, ...more: unknown[]) =>
          python(
            `store.${name}(*A[1:], audience=A[0]${backend})`,
            audience ?? null,
            ISSUER,
            CLIENT,
            ...more,
          );
        assertEquals(await call("get_cached_entry"), null);
        await call("upsert_cached_entry", ENTRY);
        const stored = { issuer: ISSUER, client_id: CLIENT, ...ENTRY };
        assertEquals(await deno.get(key), stored);
        await deno.put(key, { ...stored, access_token: "at-2: \u00e4 \u{1f511}" });
        assertEquals(await call("get_cached_entry"), {
          ...stored,
          access_token: "at-2: \u00e4 \u{1f511}",
        });
        await call("delete_cached_entry");
        assertEquals(await deno.get(key), undefined);
        assertEquals(await call("get_cached_entry"), null);
      }
      await deno.close?.();
    });
  }
}

test("it obeys each login of the page", async () => {
  const { vault, folder, jwtFile } = it;
  await vault.request("POST", "sys/auth/approle", { type: "approle" });
  await vault.request("POST", "sys/policies/acl/python", {
    policy: `path "secret/*" { capabilities = ["create", "read", "update", "list"] }`,
  });
  await vault.request("POST", "auth/approle/role/team", { token_policies: "python" });
  const roleId = (await vault.request("GET", "auth/approle/role/team/role-id")).body.data.role_id;
  const secretId = (await vault.request("POST", "auth/approle/role/team/secret-id", {})).body.data
    .secret_id;
  const [tokenFile, secretIdFile] = [`${folder}/token`, `${folder}/secret-id`];
  await Deno.writeTextFile(tokenFile, `${vault.rootToken}\n`, { mode: 0o600 });
  await Deno.writeTextFile(secretIdFile, secretId, { mode: 0o600 });
  const logins: VaultAuth[] = [
    { method: "token", token: vault.rootToken },
    { method: "token", tokenFile },
    { method: "approle", roleId, secretId },
    { method: "approle", roleId, secretIdFile },
    { method: "jwt", role: "notebooks", jwtFile },
    // The same request as the other method's.
    { method: "kubernetes", role: "notebooks", jwtFile, mount: "jwt" },
  ];
  for (const auth of logins) {
    const { python } = vaultStore({ auth });
    assertEquals(await python("store.get_cached_entry(*A)", ISSUER, CLIENT), null, auth.method);
  }
  const python = pythonLibrary("vault", { path: "users/anna" }, {
    VAULT_ADDR: vault.url,
    VAULT_TOKEN: vault.rootToken,
  });
  assertEquals(await python("store.get_cached_entry(*A)", ISSUER, CLIENT), null);
});

test("it obeys address, namespace and caCert, and follows no redirect with a token", async () => {
  await using vault = await startVault({ tls: true });
  const auth = { method: "token", token: vault.rootToken };
  const get = (options: object) =>
    pythonLibrary("vault", { path: "users/anna", auth, ...options }, { VAULT_ADDR: it.vault.url })(
      "store.get_cached_entry(*A)",
      ISSUER,
      CLIENT,
    );
  assertEquals(await get({ address: vault.url, caCert: vault.caFile }), null);
  const untrusted = await assertRejects(() => get({ address: vault.url }), Error);
  assertStringIncludes(untrusted.message, "its certificate is not trusted");

  const seen: Headers[] = [];
  await using other = await startHttpServer(({ headers }) => {
    seen.push(headers);
    return Response.json({});
  });
  await using server = await startHttpServer(({ headers }) => {
    seen.push(headers);
    return Response.redirect(`${other.origin}/elsewhere`, 302);
  });
  const run = () => get({ address: server.origin, namespace: "team", timeoutMs: 1_000 });
  const error = await assertRejects(run, Error);
  assertStringIncludes(error.message, "it redirects");
  assertEquals(error.message.includes(vault.rootToken), false);
  assertEquals(seen.map((headers) => headers.get("x-vault-namespace")), ["team"]);
});

const REFUSED: Record<string, [object, Record<string, string>?]> = {
  "VAULT_ADDR": [{ path: "users/anna" }, { VAULT_ADDR: "http://vault.example.com:8200" }],
  '"adress"': [{ path: "users/anna", adress: "https://vault.example.com" }],
  '"roleID"': [{ path: "users/anna", auth: { method: "approle", roleID: "team" } }],
  'needs "role"': [{ path: "users/anna", auth: { method: "jwt" } }],
  "Known: token, approle, jwt, kubernetes": [{ path: "users/anna", auth: { method: "ldap" } }],
  "unusable part": [{ path: "users//anna" }],
  "NOBODY is not set": [{ path: "users/${NOBODY}" }],
  '"keychain" is not one': [{}, { VM_OIDC_DENO_CREDENTIALS_BACKEND: "keychain" }],
};

test("it refuses by name what it cannot obey", async () => {
  for (const [words, [options, env]] of Object.entries(REFUSED)) {
    const python = pythonLibrary("vault", options, { VAULT_ADDR: it.vault.url, ...env });
    const call = () => python("store.get_cached_entry(*A)", ISSUER, CLIENT);
    assertStringIncludes((await assertRejects(call, Error)).message, words);
  }
  for (const program of ["store", "/opt/store"]) {
    const python = pythonLibrary("helper", { program, env: { PATH: "bin" } });
    const call = () => python("store.get_cached_entry(*A)", ISSUER, CLIENT);
    const { message } = await assertRejects(call, Error);
    assertStringIncludes(message, "PATH has a relative folder");
  }
});

/** Answers to a refresh, and whether the sign-in stays. */
const ANSWERS: [string, boolean, ScriptHandler][] = [
  ["503", true, () => new Response("busy", { status: 503 })],
  ["no words", true, () => new Response("", { status: 403 })],
  ["a redirect", true, () => Response.redirect("http://127.0.0.1:9/", 307)],
  ["invalid_client", true, () => oauthError("invalid_client", 401)],
  ["Entra's policy", true, () => json({ error: "invalid_grant", suberror: "basic_action" }, 400)],
  ["Entra's limit", true, () => json({ error: "invalid_grant", error_codes: [50196] }, 400)],
  ["Entra's end", false, () => json({ error: "invalid_grant", suberror: "bad_token" }, 400)],
  ["invalid_grant", false, () => oauthError("invalid_grant")],
];

test("a failed refresh removes a sign-in only where the provider has ended it", async () => {
  await using provider = await startScriptedProvider();
  const { issuer, clientId } = provider;
  const key = credentialKey(issuer, clientId);
  for (const open of Object.values(STORES)) {
    const { backend, python } = await open();
    for (const [answer, isKept, handler] of ANSWERS) {
      const expired = { ...ENTRY, expires_at: "2020-01-01T00:00:00Z", scope: "openid" };
      await backend.put(key, { issuer, client_id: clientId, ...expired });
      provider.script.token.push(handler);
      const call = () => python("library.obtain(*A)", issuer, clientId);
      assertStringIncludes((await assertRejects(call, Error)).message, "login_required", answer);
      assertEquals(await backend.get(key) !== undefined, isKept, answer);
    }
    await backend.put(key, { issuer, client_id: clientId, ...ENTRY, expires_at: null, scope: "a" });
    provider.script.token.push(() => provider.tokens());
    await python("library.obtain(*A)", issuer, clientId);
    assertEquals((await backend.get(key))!.scope, "a", "a field of the other language");
    await backend.close?.();
  }
});

test("an answer to a refresh ends a sign-in where it does in Deno", async () => {
  const { python } = await helperStore();
  const rows = Object.values(ROWS).flat().filter(([at]) => at === "refresh");
  const answers = rows.map(([, status, body]) => [status, body]);
  const isOver = await python(
    `[__import__("validmind_store").is_over(*one) for one in A]`,
    ...answers,
  );
  assertEquals(isOver, rows.map(([, , , kind]) => kind === "over"));
});

test("a refresh waits for the lock of the other language", async () => {
  await using provider = await startScriptedProvider();
  const { issuer, clientId } = provider;
  const key = credentialKey(issuer, clientId);
  const { backend, python } = await helperStore({}, { lockTimeoutMs: 300 });
  await backend.put(key, { issuer, client_id: clientId, ...ENTRY, expires_at: null });
  const call = () => python("library.obtain(*A)", issuer, clientId);
  const error = await backend.withLock!(key, () => assertRejects(call, Error));
  assertStringIncludes(error.message, "another notebook holds it");
  assertEquals(provider.requests.filter(({ path }) => path.endsWith("/token")), []);
});

test("a sign-out while the provider answers a refresh is not undone", async () => {
  await using provider = await startScriptedProvider();
  const { issuer, clientId } = provider;
  const key = credentialKey(issuer, clientId);
  const { backend, python } = vaultStore();
  await backend.put(key, { issuer, client_id: clientId, ...ENTRY, expires_at: null });
  provider.script.token.push(async () => {
    await backend.delete(key);
    return await provider.tokens();
  });
  const error = await assertRejects(() => python("library.obtain(*A)", issuer, clientId), Error);
  assertStringIncludes(error.message, "somebody signed out");
  assertEquals(await backend.get(key), undefined);
  await backend.close!();
});

test("a sign-out that may not limit the versions leaves no tokens", async () => {
  const { vault } = it;
  const path = `users/anna/${crypto.randomUUID()}`;
  const paths = ["data", "destroy"].map((part) => `path "secret/${part}/*"`);
  const policy = paths.map((one) => `${one} { capabilities = ["create", "read", "update"] }`);
  await vault.request("PUT", "sys/policies/acl/no-limit", { policy: policy.join("\n") });
  const { body } = await vault.request("POST", "auth/token/create", { policies: ["no-limit"] });
  const limited = { method: "token", token: body.auth.client_token } as const;
  const { backend } = vaultStore({ path });
  const { backend: deno, python } = vaultStore({ path, auth: limited });
  const key = credentialKey(ISSUER, CLIENT);
  const signOuts = [
    () => python("store.delete_cached_entry(*A)", ISSUER, CLIENT),
    async () => await deno.delete(key),
  ];
  for (const signOut of signOuts) {
    await backend.put(key, { issuer: ISSUER, client_id: CLIENT, ...ENTRY });
    const { message } = await assertRejects(signOut, Error);
    assertStringIncludes(message, "secret/metadata/");
    assertEquals(await backend.get(key), undefined);
  }
  for (const store of [backend, deno]) await store.close!();
});

test("it needs no line in a notebook, and costs a program without the library nothing", async () => {
  const recipes = fromFileUrl(new URL("./recipes/", import.meta.url));
  const code = `
import site, sys
site.addsitedir(${JSON.stringify(recipes)})
assert "validmind_store" in sys.modules and "requests" not in sys.modules
import validmind_library
from validmind import credentials_store
print(credentials_store.get_cached_entry.__module__)`;
  const command = [await serverBinary("validmind-library"), "-c", code];
  const env = {
    PYTHONPATH: `${recipes}:${fromFileUrl(new URL("../../support/", import.meta.url))}`,
    PYTHONDONTWRITEBYTECODE: "1",
    VM_OIDC_DENO_CREDENTIALS_BACKEND: "vault",
  };
  assertEquals((await mustRun(command, { env, inheritEnv: true })).trim(), "validmind_store");
});

test(`${ROUNDS} rounds of both at a helper: only what the provider ended is lost`, async () => {
  const { failures, figures } = await bothRounds(
    await helperStore({ FAULTS: "0.1" }),
    ROUNDS,
    SEED,
  );
  assertEquals(failures, []);
  for (const who of ["Deno", "Python"]) {
    assert(figures[`${who}: a token`]! > 0, Deno.inspect(figures));
  }
});

test(`${ROUNDS} rounds of both at Vault: only what the provider ended is lost`, async () => {
  await using proxy = await faultyProxy(it.vault.url);
  const place = { address: proxy.origin, timeoutMs: 4_000 };
  const { failures, figures } = await bothRounds(vaultStore(place), ROUNDS, SEED);
  assertEquals(failures, []);
  for (const who of ["Deno", "Python"]) {
    assert(figures[`${who}: a token`]! > 0, Deno.inspect(figures));
  }
});

/** Passes requests on to Vault, with faults: also after Vault has done the request. */
function faultyProxy(vault: string) {
  const random = new Random(SEED);
  return startHttpServer(async (request) => {
    const fault = random.int(1, 100);
    if (fault <= 5) return new Response("", { status: 503 });
    if (fault === 6) return await hang(request);
    if (fault <= 9) return resetConnection();
    const isWrite = request.method === "POST" && request.url.includes("/data/");
    if (isWrite && fault <= 14) {
      await request.body?.cancel();
      const errors = ["check-and-set parameter did not match the current version"];
      return Response.json({ errors }, { status: 400 });
    }
    const { pathname, search } = new URL(request.url);
    const answer = await fetch(`${vault}${pathname}${search}`, {
      method: request.method,
      headers: request.headers,
      body: request.body && await request.bytes(),
    });
    const body = await answer.bytes();
    if (fault <= 18) return resetConnection();
    return new Response(answer.status === 204 ? null : body, {
      status: answer.status,
      headers: { "content-type": answer.headers.get("content-type") ?? "application/json" },
    });
  });
}
