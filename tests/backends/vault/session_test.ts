import { assertEquals } from "@std/assert";
import { hashOf } from "../../../backends/common/bytes.ts";
import type { VaultCredentialsBackend } from "../../../backends/vault.ts";
import type { VaultAuth } from "../../../backends/vault/options.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { json } from "../../support/http_server.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";
import { isReplaced } from "../stores.ts";
import { ScriptedVault } from "./scripted_vault.ts";

// Faults of a login and a renewal that a real Vault does not make when it is told to.

interface Opened {
  vault: ScriptedVault;
  /** It is logged in by a given token. */
  store: VaultCredentialsBackend;
}

const test = Object.assign(testWith({ permissions: "none" }), {
  onPosix: testWith({ ignore: !isPosix }),
  opened(name: string, fn: (world: Opened) => Promise<void>) {
    test(name, async () => {
      const vault = new ScriptedVault();
      await fn({ vault, store: await vault.open() });
    });
  },
});
const { folder } = sandbox();
const AUTH: VaultAuth = { method: "approle", roleId: "notebooks", secretId: "Yz6Hc1Nd4Pb9Sg2T" };
const TTL_SECONDS = 600;

/** A Vault whose logins give the tokens `token-1`, `token-2`, … of ten minutes. */
function world({ renews = false } = {}) {
  const vault = new ScriptedVault();
  const state = { logins: 0, renewals: 0, refusal: undefined as Response | undefined };
  const valid = vault.tokens = new Set<string>();
  vault.login = ({ path, token }) => {
    const isRenewal = path === "auth/token/renew-self";
    if (isRenewal) state.renewals++;
    if (state.refusal !== undefined) return state.refusal.clone();
    if (isRenewal && (!renews || !valid.has(token!))) {
      return json({ errors: ["not renewable"] }, 400);
    }
    const client_token = isRenewal ? token! : `token-${++state.logins}`;
    valid.add(client_token);
    return json({ auth: { client_token, lease_duration: TTL_SECONDS } });
  };
  const tokens = () => vault.requests.splice(0).map(({ token }) => token);
  return { vault, state, valid, tokens, open: () => vault.open({ auth: AUTH }) };
}

test("requests at the same time share the login, its renewal and its repetition", async () => {
  const { vault, state, valid, open } = world({ renews: true });
  const store = await open();
  const all = () => Promise.all(Array.from({ length: 5 }, () => store.get(KEY)));
  await all();
  assertEquals(state.logins, 1);
  valid.clear();
  assertEquals(await all(), Array(5).fill(undefined));
  assertEquals(state.logins, 2);
  vault.clock.advance(TTL_SECONDS * 700);
  await all();
  assertEquals([state.logins, state.renewals], [2, 1]);
});

test("a login is repeated once for a request, and never without end", async () => {
  const { vault, state, open } = world();
  const store = await open();
  vault.login = ((login) => (request) => (vault.tokens!.clear(), login(request)))(vault.login);
  vault.before = ({ path }) => {
    if (!path.includes("/data/")) return;
    vault.tokens!.clear(); // Vault does not say either whether the token is valid
    return json({ errors: ["permission denied"] }, 403);
  };
  await rejectsWith("backend_denied", () => store.get(KEY), "read of secret/data/users/anna/");
  assertEquals(state.logins, 2);
});

test("a policy that denies it is told with the path and Vault's words, and no login is repeated", async () => {
  const { vault, state, open } = world();
  const store = await open();
  vault.before = ({ method, path }) =>
    method === "GET" && path.includes("?list=true") ? json({ errors: ["by ACL"] }, 403) : undefined;
  const words = ["do not allow list of secret/metadata/users/anna (by ACL)"];
  await rejectsWith("backend_denied", () => Array.fromAsync(store.list()), ...words);
  assertEquals(state.logins, 1);
});

for (
  const [what, code, refusal] of [
    ["is refused", "backend_auth_failed", () => json({ errors: ["invalid secret id"] }, 400)],
    ["gets no answer", "backend_unavailable", () => json({ errors: ["internal error"] }, 500)],
  ] as const
) {
  test(`a token whose renewal ${what} is used until Vault refuses it, and replaced then`, async () => {
    const { vault, state, valid, tokens, open } = world();
    const store = await open();
    state.refusal = refusal();
    vault.clock.advance(TTL_SECONDS * 700);
    for (let i = 0; i < 5; i++) await store.get(KEY);
    assertEquals([state.renewals > 0, tokens().at(-1)], [true, "token-1"]);
    valid.clear();
    await rejectsWith(code, () => store.get(KEY));
    state.refusal = undefined;
    await store.get(KEY);
    assertEquals(tokens().at(-1), "token-2");
    store.close();
  });
}

test("a token that was given is renewed once it is used for 30 seconds, and then by its life", async () => {
  const { vault, valid, state } = world({ renews: true });
  valid.add("given");
  const store = await vault.open();
  const after = async (ms: number) => {
    vault.clock.advance(ms);
    await store.get(KEY);
    const { renewals } = state;
    state.renewals = 0;
    return renewals;
  };
  assertEquals(await after(29_000), 0);
  state.refusal = json({ errors: ["overloaded"] }, 500);
  assertEquals(await after(1_000) > 0, true); // without an answer: the token still serves
  state.refusal = undefined;
  assertEquals(await after(30_000), 1);
  assertEquals(await after(TTL_SECONDS * 600), 0);
  assertEquals(await after(TTL_SECONDS * 70), 1);
});

Deno.test("without a token, requests go to this host's loopback as they are: an agent adds its own", async () => {
  await withEnv({}, async () => {
    const vault = new ScriptedVault();
    const options = { address: "http://127.0.0.1:8200", auth: { method: "token" } } as const;
    const store = await vault.open(options);
    await store.withLock(KEY, () => store.put(KEY, entry()), {});
    vault.clock.advance(3_600_000);
    assertEquals(await store.get(KEY), entry());
    assertEquals(new Set(vault.requests.map(({ token }) => token)), new Set([null]));
    assertEquals(vault.requests.some(({ path }) => path.startsWith("auth/")), false);
    vault.before = ({ path }) =>
      path.includes("/data/") ? json({ errors: ["by ACL"] }, 403) : undefined;
    await rejectsWith("backend_denied", () => store.get(KEY), "(by ACL)");
    vault.tokens = new Set(); // a Vault, or an agent without a token of its own
    await rejectsWith("backend_auth_failed", () => store.get(KEY), "no Vault token", "VAULT_TOKEN");
    store.close();
    const away = () => vault.open({ ...options, address: "https://vault.example.com" });
    await rejectsWith("backend_auth_failed", away, "no Vault token");
  });
});

for (
  const [refusal, status, method, ...words] of [
    ['role "notebooks" could not be found', 400, "jwt", "the role"],
    ["invalid secret id", 400, "jwt", "has ended"],
    ["permission denied", 403, "jwt", "auth/jwt/login exists"],
    ["permission denied", 403, "kubernetes", "that Vault may ask the cluster"],
  ] as const
) {
  test.onPosix(`a login that is refused is told with Vault's words: ${method}, ${refusal}`, async () => {
    const jwtFile = `${folder()}/jwt`;
    Deno.writeTextFileSync(jwtFile, "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0", { mode: 0o600 });
    const vault = new ScriptedVault();
    vault.login = () => json({ errors: [refusal] }, status);
    const open = () => vault.open({ auth: { method, role: "notebooks", jwtFile } });
    const all = [`status ${status} (${refusal}). Check`, ...words];
    await rejectsWith("backend_auth_failed", open, ...all);
  });
}

test("a token that was given and cannot be renewed is used until Vault refuses it", async () => {
  const { vault, valid, state } = world();
  valid.add("given");
  const store = await vault.open();
  for (let i = 0; i < 3; i++) {
    vault.clock.advance(3_600_000);
    await store.get(KEY);
  }
  assertEquals(state.renewals, 1);
  valid.clear();
  await rejectsWith("backend_auth_failed", () => store.get(KEY), "expired or was revoked");
});

test.onPosix("a token file is read as a private file, also one that a group may read", async () => {
  const path = `${folder()}/token`;
  const vault = new ScriptedVault();
  vault.tokens = new Set(["in-the-file"]);
  const open = () => vault.open({ auth: { method: "token", tokenFile: path } });
  await rejectsWith("backend_auth_failed", open, path, "it is not there");
  Deno.writeTextFileSync(path, "in-the-file\n", { mode: 0o640 });
  await (await open()).get(KEY);
  vault.tokens = new Set(["another"]);
  await rejectsWith("backend_auth_failed", open, `Write it into ${path}.`);
  Deno.chmodSync(path, 0o620);
  await rejectsWith("backend_auth_failed", open, path, "others may write it");
});

const NAME = await hashOf(KEY);

for (
  const [what, mount, ...words] of [
    ["of KV 1", { type: "kv", path: "secret/", options: null }, "version 1,", "run: vault kv "],
    ["of the old kind", { type: "generic", path: "secret/" }, "enable-versioning secret/"],
    ["of another engine", { type: "cubbyhole", path: "secret/" }, '"secret" is not the mount'],
    ["with a part of the path", { type: "kv", path: "se/", options: { version: "2" } }, '"path"'],
    ["that Vault says nothing of", null, '"secret" is not the mount', "Give the mount alone"],
  ] as const
) {
  test(`a mount ${what} is refused, and nothing is asked of it`, async () => {
    const vault = new ScriptedVault();
    vault.mount = mount;
    await rejectsWith("invalid_options", () => vault.open(), ...words);
    assertEquals(vault.asked(), ["GET sys/internal/ui/mounts/secret"]);
  });
}

test("a mount from before Vault 0.8, whose type stays generic, is used once it has version 2", async () => {
  const vault = new ScriptedVault();
  vault.mount = { type: "generic", path: "secret/", options: { version: "2" } };
  assertEquals(await (await vault.open()).get(KEY), undefined);
});

test.opened("a sign-out where nobody was signed in destroys no version", async ({ vault, store }) => {
  vault.asked();
  await store.delete(KEY);
  assertEquals(vault.asked(), ["POST data", "POST metadata"]); // Vault refuses an empty list
});

test.opened("of many versions the newest hundred are destroyed, also where the engine demands a check", async ({ vault, store }) => {
  await store.put(KEY, entry());
  for (const secret of vault.secrets.values()) secret.version = 150;
  vault.before = ({ method, path, body }) => {
    const isUnchecked = method === "POST" && path.includes("/data/") &&
      body.options.cas === undefined;
    const errors = ["check-and-set parameter required for this call"];
    return isUnchecked ? json({ errors }, 400) : undefined;
  };
  await store.delete(KEY);
  const { versions } = vault.requests.find(({ path }) => path.includes("/destroy/"))!.body;
  assertEquals([versions.length, versions[0]], [100, 150]);
});

test.opened("an entry is kept in one version, under the hash of its key, and read and removed again", async ({ vault, store }) => {
  vault.asked();
  await store.put(KEY, entry());
  assertEquals(vault.requests[1]?.body, { max_versions: 1 });
  assertEquals(vault.asked(), ["GET data", "POST metadata", "POST data"]);
  await store.delete(KEY);
  const [, destroyed, limited] = vault.requests;
  assertEquals([destroyed?.body, limited?.body], [{ versions: [1] }, { max_versions: 1 }]);
  assertEquals(vault.asked(), ["POST data", "POST destroy", "POST metadata"]);
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2
  assertEquals(await hashOf("abc"), abc);
});

test.opened("no version is written before the secret is limited to one", async ({ vault, store }) => {
  vault.before = ({ path }) => path.includes("/metadata/") ? json({}, 400) : undefined;
  await rejectsWith("backend_unavailable", () => store.put(KEY, entry()), "status 400");
  assertEquals(vault.secrets.size, 0);
});

test("a mount that nothing is said of is trouble, and no wrong option", async () => {
  const vault = new ScriptedVault();
  vault.before = () => json({ errors: ["no handler"] }, 404);
  await rejectsWith("backend_unavailable", () => vault.open(), "status 404 (no handler)");
});

test.opened("a removal that Vault does not confirm is an error", async ({ vault, store }) => {
  await store.put(KEY, entry());
  for (const part of ["/metadata/", "/destroy/"]) {
    const isPart = ({ method, path }: { method: string; path: string }) =>
      method === "POST" && path.includes(part);
    vault.before = (request) => isPart(request) ? json({ errors: ["no"] }, 400) : undefined;
    await rejectsWith("backend_unavailable", () => store.delete(KEY), "status 400 (no)");
    await rejectsWith("backend_unavailable", () => store.deleteAll(), "status 400");
    vault.before = (request) => isPart(request) ? new Response(null, { status: 404 }) : undefined;
    await rejectsWith("backend_unavailable", () => store.delete(KEY), "status 404");
  }
});

for (const what of ["denied", "lost"]) {
  test.opened(`a sign-out whose request for the versions is ${what} leaves no tokens`, async ({ vault, store }) => {
    const remove = { delete: () => store.delete(KEY), deleteAll: () => store.deleteAll() };
    for (const [name, run] of Object.entries(remove)) {
      await store.put(KEY, entry());
      vault.asked();
      vault.before = ({ method, path }) => {
        if (method !== "POST" || !path.includes("/metadata/")) return undefined;
        if (what === "denied") return json({ errors: ["permission denied"] }, 403);
        throw new TypeError("connection reset");
      };
      const code = what === "denied" ? "backend_denied" : "backend_unavailable";
      await rejectsWith(code, run);
      assertEquals(vault.asked().includes("POST destroy"), true, name);
      vault.before = () => undefined;
      assertEquals(await store.get(KEY), undefined, name);
    }
  });
}

test.opened("a removal of all empties the entries, and leaves what is not this module's", async ({ vault, store }) => {
  await store.withLock(KEY, () => store.put(KEY, entry()), {});
  for (const name of ["notes", "notes.lock", NAME.toUpperCase()]) {
    vault.secrets.set(`users/anna/${name}`, { data: {}, version: 1 });
  }
  assertEquals(await Array.fromAsync(store.list()), [KEY]);
  await store.deleteAll();
  assertEquals(await Array.fromAsync(store.list()), []);
  const { data } = vault.secrets.get(`users/anna/${NAME}`)!;
  assertEquals(data, { key: "", entry: "", holder: "" });
  for (const name of ["notes", "notes.lock", NAME.toUpperCase()]) {
    assertEquals(vault.secrets.get(`users/anna/${name}`), { data: {}, version: 1 });
  }
});

test.opened("a write that meets another one is done over it, and with isReplaced not", async ({ vault, store }) => {
  const other = await vault.open();
  await store.put(KEY, entry());
  let isMet = false;
  vault.before = async ({ method, path }) => {
    if (method !== "POST" || !path.endsWith(`/data/users/anna/${NAME}`) || isMet) return;
    isMet = true;
    await other.put(KEY, entry({ access_token: "theirs" }));
  };
  vault.clock.onDelay = async () => {
    const { length } = vault.requests;
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(vault.requests.length, length); // nothing is asked in a pause
  };
  await store.put(KEY, entry({ x: 1 }), { isReplaced });
  assertEquals(await store.get(KEY), entry({ access_token: "theirs" }));
  isMet = false;
  await store.put(KEY, entry({ x: 2 }));
  assertEquals(await store.get(KEY), entry({ x: 2 }));
  assertEquals(vault.clock.delays.length, 1);
});

test.opened("a write whose answer is lost counts as done, with isReplaced too", async ({ vault, store }) => {
  await store.put(KEY, entry());
  const name = `users/anna/${NAME}`;
  let isLost = false;
  vault.before = ({ method, path, body }) => {
    if (method !== "POST" || !path.endsWith(`/data/${name}`) || isLost) return undefined;
    isLost = true;
    const version = vault.secrets.get(name)!.version + 1;
    vault.secrets.set(name, { data: (body as { data: unknown }).data, version });
    throw new TypeError("connection reset");
  };
  const next = entry({ access_token: "next" });
  assertEquals(await store.put(KEY, next, { isReplaced }), true);
  assertEquals([isLost, await store.get(KEY)], [true, next]);
});

test.opened("under a lock that was lost, a new tokens' write goes by the entry, and others fail", async ({ vault, store }) => {
  await store.put(KEY, entry());
  await store.withLock(KEY, async () => {
    const data = { key: KEY, entry: JSON.stringify(entry()), holder: "other" };
    vault.secrets.set(`users/anna/${NAME}`, { data, version: 9 });
    const write = () => store.put(KEY, entry({ access_token: "of a new sign-in" }));
    await rejectsWith("backend_locked", write, "the lock was lost");
    await store.put(OTHER, entry()); // whose lock is not concerned
    await store.put(KEY, entry({ access_token: "rotated" }), { isReplaced });
    assertEquals((await store.get(KEY))?.access_token, "rotated");
    await store.put(KEY, entry(), { isReplaced });
    assertEquals((await store.get(KEY))?.access_token, "rotated");
  }, {});
  await store.put(KEY, entry()); // outside a lock there is nothing to lose
});

test.opened("a write that stands still while a later holder writes fails, too", async ({ vault, store }) => {
  const later = await vault.open();
  let isMet = false;
  vault.before = async ({ method, path, body }) => {
    if (isMet || method !== "POST" || !path.endsWith(`/data/users/anna/${NAME}`)) return;
    if (body?.data?.entry === "") return; // it takes the lock
    isMet = true; // the write is on its way
    await later.withLock(KEY, () => later.put(KEY, entry({ x_theirs: true })), {});
  };
  await store.withLock(KEY, async () => {
    await rejectsWith("backend_locked", () => store.put(KEY, entry()), "the lock was lost");
  }, {});
  assertEquals(await store.get(KEY), entry({ x_theirs: true }));
});

test.opened("a lock proves that Vault can be written, and the secret stays free and without an entry", async ({ vault, store }) => {
  vault.asked();
  await store.withLock(KEY, () => Promise.resolve(), {});
  // The first write of a secret sets how many versions it has.
  assertEquals(vault.asked(), ["GET data", "POST metadata", "POST data", "POST data"]);
  assertEquals([...vault.secrets.values()], [{
    data: { key: KEY, entry: "", holder: "" },
    version: 2,
  }]);
  vault.before = ({ method }) => method === "POST" ? json({ errors: ["denied"] }, 403) : undefined;
  let hasRun = false;
  const run = () => Promise.resolve(hasRun = true);
  const lock = () => store.withLock(KEY, run, {});
  const words = ["create and update of secret/data/users/anna/", " (denied). Have them allow"];
  await rejectsWith("backend_denied", lock, ...words);
  assertEquals(hasRun, false);
});

test.opened("a secret of another program is backend_corrupt, and names the way out", async ({ vault, store }) => {
  const odd = [{}, { key: KEY, entry: "{" }, { key: KEY, entry: "[]" }];
  for (const data of [...odd, { key: OTHER, entry: "{}" }, { key: 5, entry: "{}" }]) {
    vault.secrets.set(`users/anna/${NAME}`, { data, version: 1 });
    const words = [`secret/users/anna: the secret ${NAME} `, "clearOidcCredentials({"];
    await rejectsWith("backend_corrupt", () => store.get(KEY), ...words);
    await rejectsWith("backend_corrupt", () => Array.fromAsync(store.list()), ...words);
  }
  vault.secrets.set(`users/anna/${NAME}`, { data: null, version: 0 });
  const soft = json({ data: { data: null, metadata: { version: 3 } } }, 404);
  vault.before = ({ path }) => path.includes("/data/") ? soft.clone() : undefined;
  assertEquals(await store.get(KEY), undefined); // only marked as deleted
});
