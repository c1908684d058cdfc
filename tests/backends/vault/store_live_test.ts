import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { secretName } from "../../../backends/vault/engine.ts";
import type { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { VaultStore } from "../../../backends/vault/store.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import type { VaultAnswer } from "../../support/servers/vault_request.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { AWKWARD_KEYS, entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { userToken, vaultBackend } from "./vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { mustRun } from "../../support/deno_process.ts";

const live = await liveTests("vault");

const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());

const NAME = await secretName(KEY);
const MOUNTS = ["secret", "kv1"];

/** What an administrator sees of `users/anna`: `part` is `data` or `metadata`, for KV 2. */
function look(part: string, name = NAME): Promise<VaultAnswer> {
  return vault.request("GET", `secret/${part}/users/anna/${name}`);
}

async function withBackend(
  mount: string,
  test: (backend: VaultCredentialsBackend) => Promise<void>,
): Promise<void> {
  const backend = vaultBackend(vault, token, { mount });
  try {
    await test(backend);
  } finally {
    await backend.deleteAll();
    await backend.close();
  }
}

for (const mount of MOUNTS) {
  live.test(`Vault ${mount}: keeps entries under awkward keys, and lists them`, () =>
    withBackend(mount, async (backend) => {
      assertEquals(await Array.fromAsync(backend.list()), []);
      for (const key of AWKWARD_KEYS) await backend.put(key, entry({ client_id: key }));
      for (const key of AWKWARD_KEYS) assertEquals((await backend.get(key))?.client_id, key);
      assertEquals((await Array.fromAsync(backend.list())).sort(), [...AWKWARD_KEYS].sort());
      for (const key of AWKWARD_KEYS) await backend.delete(key);
      assertEquals(await Array.fromAsync(backend.list()), []);
    }));

  live.test(`Vault ${mount}: keeps an entry under a key that is no well-formed text`, () =>
    withBackend(mount, async (backend) => {
      for (const key of ["half a \ud83d pair", "\udc00\ud800"]) {
        await backend.put(key, entry({ x_of: key.length }));
        assertEquals(await backend.get(key), entry({ x_of: key.length }));
        assertEquals(await Array.fromAsync(backend.list()), [key.toWellFormed()]);
        await backend.delete(key);
      }
    }));

  live.test(`Vault ${mount}: numbers, nulls and large entries come back as they were`, () =>
    withBackend(mount, async (backend) => {
      const exact = entry({
        x_big: 12345678901234567890,
        x_float: 1.0e-7,
        x_null: null,
        x_text: "\ud83d",
      });
      await backend.put(KEY, exact);
      assertEquals(await backend.get(KEY), exact);
      const large = entry({ x_fill: "f".repeat(64 * 1024) });
      await backend.put(KEY, large);
      assertEquals(await backend.get(KEY), large);
    }));

  live.test(`Vault ${mount}: what the server takes no more is backend_too_large, and the old is kept`, () =>
    withBackend(mount, async (backend) => {
      await backend.put(KEY, entry());
      const large = entry({ x_fill: "f".repeat(33 * 1024 * 1024) });
      await rejectsWith("backend_too_large", () => backend.put(KEY, large), "127.0.0.1");
      assertEquals(await backend.get(KEY), entry());
    }));

  live.test(`Vault ${mount}: a secret of another shape is backend_corrupt, and not overwritten`, () =>
    withBackend(mount, async (backend) => {
      const shapes = [
        {},
        { password: "of somebody" },
        { key: KEY, entry: "{" },
        { key: KEY, entry: "[]" },
        { key: KEY, entry: { access_token: "x" } },
        { key: OTHER, entry: "{}" }, // moved from elsewhere
      ];
      const [path, wrap] = mount === "secret"
        ? [`secret/data/users/anna/${NAME}`, (data: unknown) => ({ data })]
        : [`kv1/users/anna/${NAME}`, (data: unknown) => data];
      for (const shape of shapes) {
        if (mount === "kv1" && Object.keys(shape).length === 0) continue; // not to be had
        await vault.request("POST", path, wrap(shape));
        await rejectsWith("backend_corrupt", () => backend.get(KEY), `${mount}/users/anna/${NAME}`);
        const list = () => Array.fromAsync(backend.list());
        await rejectsWith("backend_corrupt", list, `${mount}/users/anna/${NAME}`);
      }
      await backend.delete(KEY);
      assertEquals(await backend.get(KEY), undefined);
      const number = await secretName("123");
      await vault.request("POST", path.replace(NAME, number), wrap({ key: 123, entry: "{}" }));
      await rejectsWith("backend_corrupt", () => backend.get("123"), number);
      await rejectsWith("backend_corrupt", () => Array.fromAsync(backend.list()), number);
    }));

  live.test(`Vault ${mount}: waits for an answer where timeoutMs is longer than a timer`, async () => {
    for (const timeoutMs of [2 ** 32, Infinity]) {
      const backend = vaultBackend(vault, token, { mount, timeoutMs });
      await backend.put(KEY, entry());
      assertEquals(await backend.get(KEY), entry());
      await backend.deleteAll();
      await backend.close();
    }
  });

  live.test(`Vault ${mount}: deleteAll leaves what is not this module's`, () =>
    withBackend(mount, async (backend) => {
      const base = mount === "secret" ? "secret/data" : "kv1";
      const body = mount === "secret" ? { data: { x: 1 } } : { x: 1 };
      for (const path of ["users/anna/notes", "users/anna/deep/er", "users/annabel/x"]) {
        await vault.request("POST", `${base}/${path}`, body);
      }
      await backend.put(KEY, entry());
      await backend.put(OTHER, entry());
      await backend.withLock(KEY, () => Promise.resolve());
      await backend.deleteAll();
      const folder = mount === "secret" ? "secret/metadata/users/anna" : "kv1/users/anna";
      const { body: listed } = await vault.request("GET", `${folder}?list=true`);
      assertEquals(listed.data.keys, ["deep/", "notes"]);
      assertEquals(await Array.fromAsync(backend.list()), []);
    }));

  live.test(`Vault ${mount}: user names that a URL would take apart are folders of their own`, async () => {
    const names = ["anna b", "anna?x=1#y", "größe@example.com", "100%41", "a+b&c"];
    const open = (name: string) =>
      vaultBackend(vault, vault.rootToken, { mount, path: `users/${name}` });
    for (const name of names) {
      const backend = open(name);
      await backend.put(KEY, entry({ client_id: name }));
      await backend.close();
    }
    const base = mount === "secret" ? "secret/metadata" : "kv1";
    const { body } = await vault.request("GET", `${base}/users?list=true`);
    for (const name of names) {
      assert(body.data.keys.includes(`${name}/`), name);
      const backend = open(name);
      assertEquals((await backend.get(KEY))?.client_id, name);
      await backend.deleteAll();
      await backend.close();
    }
  });
}

live.test("Vault: one version is kept of an entry, also of one that somebody else made", () =>
  withBackend("secret", async (backend) => {
    await backend.put(KEY, entry());
    await backend.put(KEY, entry({ x_second: 2 }));
    const { body: own } = await look("metadata");
    assertEquals(own.data.max_versions, 1);
    assertEquals(Object.keys(own.data.versions), ["2"]);
    assertEquals((await look("data", `${NAME}?version=1`)).status, 404);
    const path = `secret/data/users/anna/${await secretName(OTHER)}`;
    for (let i = 0; i < 3; i++) await vault.request("POST", path, { data: { old: "token" } });
    await backend.put(OTHER, entry());
    const { body: theirs } = await look("metadata", await secretName(OTHER));
    assertEquals(Object.keys(theirs.data.versions), ["4"]);
  }));

live.test("Vault: one version is kept of an entry that somebody else removed and made anew", () =>
  withBackend("secret", async (backend) => {
    for (const seen of ["by a read", "by the write", "by its own removal"]) {
      for (let i = 0; i < 3; i++) await backend.put(KEY, entry());
      const isOwn = seen === "by its own removal";
      if (isOwn) await backend.delete(KEY);
      else await vault.request("DELETE", `secret/metadata/users/anna/${NAME}`);
      const data = { key: KEY, entry: JSON.stringify(entry({ x_theirs: true })) };
      const writes = isOwn ? 5 : 2;
      for (let i = 0; i < writes; i++) {
        await vault.request("POST", `secret/data/users/anna/${NAME}`, { data });
      }
      if (seen === "by a read") await backend.get(KEY);
      await backend.put(KEY, entry());
      const { body } = await look("metadata");
      assertEquals(body.data.max_versions, 1, seen);
      assertEquals(Object.keys(body.data.versions), [String(writes + 1)], seen);
      await backend.delete(KEY);
    }
  }));

live.test("Vault: one version is kept of an entry whose metadata was removed before its first write", () =>
  withBackend("secret", async () => {
    let isRemoved = false;
    const given = (async (input: string, init: RequestInit) => {
      if (!isRemoved && init.method === "POST" && input.endsWith(`/data/users/anna/${NAME}`)) {
        isRemoved = true;
        await vault.request("DELETE", `secret/metadata/users/anna/${NAME}`);
      }
      return await fetch(input, init);
    }) as typeof fetch;
    const backend = vaultBackend(vault, token, { fetch: given });
    for (let i = 1; i <= 3; i++) {
      await backend.put(KEY, entry({ i }));
      const { max_versions, versions } = (await look("metadata")).body.data;
      assertEquals([max_versions, Object.keys(versions)], [i === 1 ? 0 : 1, [String(i)]]);
    }
    await backend.close();
  }));

live.test("Vault: delete removes the metadata and every version, so nothing can be undeleted", () =>
  withBackend("secret", async (backend) => {
    await backend.put(KEY, entry());
    await backend.put(KEY, entry());
    await backend.delete(KEY);
    assertEquals((await look("metadata")).status, 404);
    await vault.request("POST", `secret/undelete/users/anna/${NAME}`, { versions: [1, 2] });
    assertEquals((await look("data")).status, 404);
    await backend.delete(KEY);
  }));

live.test("Vault: an entry that was only marked as deleted, or destroyed, is absent and can be written", () =>
  withBackend("secret", async (backend) => {
    for (const end of ["soft", "destroy"]) {
      await backend.put(KEY, entry());
      await backend.put(KEY, entry());
      if (end === "soft") await vault.request("DELETE", `secret/data/users/anna/${NAME}`);
      else {
        const { body } = await look("metadata");
        const versions = [body.data.current_version];
        await vault.request("POST", `secret/destroy/users/anna/${NAME}`, { versions });
      }
      assertEquals((await look("data")).body.data.data, null); // 404 with a body
      assertEquals(await backend.get(KEY), undefined);
      assertEquals(await Array.fromAsync(backend.list()), []);
      await backend.put(KEY, entry({ x_again: end }));
      assertEquals(await backend.get(KEY), entry({ x_again: end }));
    }
  }));

live.test("Vault: writes at the same time with cas_required all succeed, and one of them is stored", () =>
  withBackend("secret", async (backend) => {
    await vault.request("POST", "secret/config", { cas_required: true });
    const other = vaultBackend(vault, token);
    const writes = Array.from(
      { length: 8 },
      (_, i) => [backend, other][i % 2]!.put(KEY, entry({ i })),
    );
    await Promise.all(writes);
    const stored = await backend.get(KEY);
    assertEquals(stored, entry({ i: stored?.i }));
    assertEquals((await look("metadata")).body.data.current_version, 8);
    await other.close();
    await vault.request("POST", "secret/config", { cas_required: false });
  }));

live.test("Vault: an operator finds an entry by the SHA-256 of its key", () =>
  withBackend("secret", async (backend) => {
    await backend.put(KEY, entry());
    const [name = ""] = (await mustRun(["sha256sum"], { stdin: KEY })).split(" ");
    const { body } = await look("data", name);
    assertEquals(body.data.data.key, KEY);
    assertEquals(JSON.parse(body.data.data.entry), entry());
  }));

live.test("Vault: a mount that is none, or is of another kind, is an error and not 'not signed in'", async () => {
  await vault.request("POST", "sys/mounts/team/kv", { type: "kv", options: { version: "2" } });
  const cases: [mount: string, token: string, code: "invalid_options" | "backend_denied"][] = [
    ["nowhere", vault.rootToken, "backend_denied"],
    ["cubbyhole", vault.rootToken, "invalid_options"],
    ["secret/users", vault.rootToken, "invalid_options"],
    ["team/kv", token, "backend_denied"],
  ];
  for (const [mount, given, code] of cases) {
    const backend = vaultBackend(vault, given, { mount });
    await rejectsWith(code, () => backend.get(KEY), "127.0.0.1");
    await backend.close();
  }
  const deep = vaultBackend(vault, vault.rootToken, { mount: "team/kv" });
  await deep.put(KEY, entry());
  assertEquals(await deep.get(KEY), entry());
  await deep.close();
});

live.test("Vault: a wrong kvVersion is an error, and neither hides an entry nor writes elsewhere", async () => {
  const key = `${KEY}|another`;
  for (const [mount, right, wrong] of [["secret", 2, 1], ["kv1", 1, 2]] as const) {
    const stored = vaultBackend(vault, vault.rootToken, { mount, kvVersion: right });
    await stored.put(key, entry());
    const backend = vaultBackend(vault, vault.rootToken, { mount, kvVersion: wrong });
    // A read of KV 2 as KV 1 is refused by Vault itself.
    const code = mount === "kv1" ? "invalid_options" : "backend_unavailable";
    await rejectsWith(code, () => backend.get(key), "127.0.0.1");
    await rejectsWith("invalid_options", () => Array.fromAsync(backend.list()), "127.0.0.1");
    await rejectsWith("invalid_options", () => backend.delete(key), "127.0.0.1");
    await rejectsWith(code, () => backend.put(key, entry()), "127.0.0.1");
    await backend.close();
    assertEquals(await stored.get(key), entry());
    await stored.delete(key);
    await stored.close();
  }
  for (const part of ["data", "metadata"]) {
    const answer = await vault.request("GET", `kv1/${part}/users/anna?list=true`);
    assertEquals(answer.status, 404, part);
  }
});

live.test("Vault: a mount that is taken away under an open backend is an error", async () => {
  await vault.request("POST", "sys/mounts/passing", { type: "kv", options: { version: "2" } });
  const backend = vaultBackend(vault, vault.rootToken, { mount: "passing" });
  await backend.put(KEY, entry());
  await vault.request("DELETE", "sys/mounts/passing");
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "status 404");
  await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()), "status 404");
  await rejectsWith("backend_unavailable", () => backend.delete(KEY), "status 404");
  await rejectsWith("backend_unavailable", () => Array.fromAsync(backend.list()), "status 404");
  await backend.close();
});

for (const mount of MOUNTS) {
  live.test(`Vault ${mount}: a 404 of a proxy is not taken for absent`, async () => {
    const answer = () => Promise.resolve(Response.json({ message: "no route" }, { status: 404 }));
    const given = ((input: string, init: RequestInit) =>
      input.includes("/users/anna") ? answer() : fetch(input, init)) as typeof fetch;
    const backend = vaultBackend(vault, token, { mount, fetch: given });
    await rejectsWith("backend_unavailable", () =>
      backend.get(KEY), "status 404");
    await rejectsWith("backend_unavailable", () => backend.delete(KEY), "status 404");
    await rejectsWith("backend_unavailable", () => Array.fromAsync(backend.list()), "status 404");
    await backend.close();
  });
}

/** A backend that keeps what it asks of its entry, in order. */
function recorded(requests: string[]): VaultCredentialsBackend {
  const given = ((input: string, init: RequestInit) => {
    if (input.endsWith(`/users/anna/${NAME}`)) {
      requests.push(`${init.method} ${/(data|metadata)/.exec(input)![0]}`);
    }
    return fetch(input, init);
  }) as typeof fetch;
  return vaultBackend(vault, token, { fetch: given });
}

live.test("Vault: a write after a read or a write of the same process is one request", () =>
  withBackend("secret", async (other) => {
    const requests: string[] = [];
    const asked = () => requests.splice(0);
    const backend = recorded(requests);
    await backend.put(KEY, entry({ x: 1 }));
    assertEquals(asked(), ["GET data", "POST metadata", "POST data"]);
    await backend.put(KEY, entry({ x: 1.5 }));
    assertEquals(asked(), ["POST metadata", "POST data"]); // to be sure of it, once
    await backend.put(KEY, entry({ x: 2 }));
    assertEquals(asked(), ["POST data"]);
    assertEquals(await other.get(KEY), entry({ x: 2 }));

    await other.put(KEY, entry({ x: 3 }));
    await backend.put(KEY, entry({ x: 4 })); // refused, looked at, and done
    assertEquals(asked(), ["POST data", "GET data", "POST data"]);
    assertEquals(await other.get(KEY), entry({ x: 4 }));
    await other.put(KEY, entry({ x: 5 }));
    assertEquals(await backend.get(KEY), entry({ x: 5 }));
    await backend.put(KEY, entry({ x: 6 }));
    assertEquals(asked(), ["GET data", "POST data"]);

    await other.delete(KEY);
    await backend.put(KEY, entry({ x: 7 }));
    assertEquals(asked(), ["POST data", "GET data", "POST metadata", "POST data"]);
    assertEquals((await look("metadata")).body.data.max_versions, 1);
    await backend.delete(KEY);
    await backend.put(KEY, entry({ x: 8 }));
    assertEquals(asked(), ["DELETE metadata", "GET data", "POST metadata", "POST data"]);
    await backend.deleteAll();
    await backend.put(KEY, entry({ x: 9 }));
    assertEquals(asked(), ["DELETE metadata", "GET data", "POST metadata", "POST data"]);
    await backend.close();
  }));

for (const end of ["breaks off", "does not come"]) {
  live.test(`Vault: after a write that was done and whose answer ${end}, the version is read anew`, () =>
    withBackend("secret", async (other) => {
      const requests: string[] = [];
      let isLost = false;
      const given = (async (input: string, init: RequestInit) => {
        if (!input.endsWith(`/data/users/anna/${NAME}`)) return await fetch(input, init);
        requests.push(String(init.method));
        const answer = await fetch(input, init);
        if (!isLost || init.method !== "POST") return answer;
        isLost = false;
        await answer.body?.cancel();
        if (end === "breaks off") throw new TypeError("connection reset");
        return await new Promise<never>(() => {});
      }) as typeof fetch;
      const backend = vaultBackend(vault, token, { fetch: given, timeoutMs: 500 });
      for (let i = 0; i < 2; i++) await backend.put(KEY, entry());
      requests.length = 0;
      isLost = true;
      const write = () => backend.put(KEY, entry({ x: 1 }));
      if (end === "breaks off") {
        await write();
        assertEquals(requests, ["POST", "POST", "GET", "POST"]); // of which the second is refused
      } else {
        await rejectsWith("backend_timeout", write, "A write may still have been done");
        assertEquals(await other.get(KEY), entry({ x: 1 }));
        await backend.put(KEY, entry({ x: 2 }));
        assertEquals(requests, ["POST", "GET", "POST"]);
      }
      assertEquals(await other.get(KEY), entry({ x: end === "breaks off" ? 1 : 2 }));
      await backend.close();
    }));
}

live.test("Vault: of more than a hundred entries not all are remembered, and all are kept", () =>
  withBackend("secret", async () => {
    const requests: string[] = [];
    const backend = recorded(requests);
    const digest = crypto.subtle.digest;
    let hashed = 0;
    crypto.subtle.digest = (...args) => {
      hashed++;
      return digest.apply(crypto.subtle, args);
    };
    try {
      for (let i = 0; i < 3; i++) await backend.put(KEY, entry({ i }));
      assertEquals(await backend.get(KEY), entry({ i: 2 }));
      assertEquals(hashed, 1);
      const keys = Array.from({ length: 101 }, (_, i) => `${KEY}|${i}`);
      await Promise.all(keys.map((key) => backend.put(key, entry({ key }))));
      requests.length = hashed = 0;
      await backend.put(KEY, entry());
      assertEquals([hashed, requests], [1, ["GET data", "POST data"]]);
      for (const key of keys) assertEquals(await backend.get(key), entry({ key }));
    } finally {
      crypto.subtle.digest = digest;
    }
    await backend.close();
  }));

live.test("Vault: a version that is not the latest costs no wait, and is no 'others keep writing'", () =>
  withBackend("secret", async (other) => {
    const clock = new FakeClock();
    const store = await VaultStore.open(
      {
        address: vault.url,
        path: "users/anna",
        auth: { method: "token", token },
        fetch: (input, init) => {
          if (init?.method === "POST") clock.advance(16_000); // longer than all may take
          return fetch(input, init);
        },
      },
      clock,
    );
    await store.put(KEY, entry({ x: 1 }));
    await other.put(KEY, entry({ x: 2 }));
    await store.put(KEY, entry({ x: 3 }));
    assertEquals(clock.delays, []);
    assertEquals(await other.get(KEY), entry({ x: 3 }));
    store.close();
  }));

live.test("Vault: what was seen of an entry before its lock counts no more under it", () =>
  withBackend("secret", async () => {
    const requests: string[] = [];
    const backend = recorded(requests);
    for (let i = 0; i < 2; i++) await backend.put(KEY, entry({ x: 1 }));
    requests.length = 0;
    await backend.withLock(KEY, () => backend.put(KEY, entry({ x: 2 })));
    assertEquals(requests, ["GET data", "POST data"]);
    await backend.close();
  }));

live.test("Vault: a backend that was closed opens again", () =>
  withBackend("secret", async (backend) => {
    await backend.put(KEY, entry());
    await backend.close();
    await backend.close();
    assertEquals(await backend.get(KEY), entry());
    assertNotEquals(backend.location, "");
  }));
