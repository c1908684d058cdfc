import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { AWKWARD_KEYS, entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

function backendIn(parent: string): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
}

function write(path: string, value: unknown): void {
  Deno.writeTextFileSync(path, JSON.stringify(value), { mode: 0o600 });
}

function read(path: string): Record<string, unknown> {
  return JSON.parse(Deno.readTextFileSync(path));
}

Deno.test(
  "a file backend that only reads gives undefined and makes nothing",
  { permissions },
  async () => {
    const parent = folder();
    const backend = backendIn(`${parent}/deep/er`);
    assertEquals(backend.get(KEY), undefined);
    assertEquals(await Array.fromAsync(backend.list()), []);
    await backend.delete(KEY);
    assertEquals(namesIn(parent), []);
  },
);

Deno.test("a file backend gives back what was put, also to another backend on the file", {
  permissions,
}, async () => {
  const parent = folder();
  await backendIn(`${parent}/deep/er`).put(KEY, entry());
  assertEquals(backendIn(`${parent}/deep/er`).get(KEY), entry());
  assertEquals(backendIn(`${parent}/deep/er`).get(OTHER), undefined);
});

Deno.test(
  "a file backend writes the documented format, with a line end",
  { permissions },
  async () => {
    const backend = backendIn(folder());
    await backend.put(KEY, entry());
    assertEquals(read(backend.path), { version: 1, credentials: { [KEY]: entry() } });
    assert(Deno.readTextFileSync(backend.path).endsWith("}\n"));
  },
);

Deno.test("a delete removes one entry and leaves the others", { permissions }, async () => {
  const backend = backendIn(folder());
  await backend.put(KEY, entry());
  await backend.put(OTHER, entry());
  await backend.delete(KEY);
  assertEquals(backend.get(KEY), undefined);
  assertEquals(backend.get(OTHER), entry());
  assertEquals(read(backend.path), { version: 1, credentials: { [OTHER]: entry() } });
});

Deno.test("two deletes of one entry at the same time are no error", { permissions }, async () => {
  const parent = folder();
  const [one, other] = [backendIn(parent), backendIn(parent)];
  await one.put(KEY, entry());
  await one.put(OTHER, entry());
  await Promise.all([one.delete(KEY), other.delete(KEY), one.delete(KEY)]);
  assertEquals(one.get(KEY), undefined);
  assertEquals(one.get(OTHER), entry());
});

Deno.test(
  "a delete of a missing entry leaves the file as it is, to the byte",
  { permissions },
  async () => {
    const parent = folder();
    const text = `{"credentials":{"${KEY}":{"issuer":"i"}},   "version":1}`;
    Deno.writeTextFileSync(`${parent}/credentials.json`, text);
    await backendIn(parent).delete(OTHER);
    assertEquals(Deno.readTextFileSync(`${parent}/credentials.json`), text);
    assertEquals(namesIn(parent), ["credentials.json"]);
  },
);

Deno.test("list gives the keys of all entries", { permissions }, async () => {
  const backend = backendIn(folder());
  for (const key of [KEY, OTHER]) await backend.put(key, entry());
  assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY, OTHER]);
});

Deno.test(
  "deleteAll removes the file, and is no error where there is none",
  { permissions },
  async () => {
    const parent = folder();
    const backend = backendIn(parent);
    await backend.put(KEY, entry());
    await backend.deleteAll();
    await backend.deleteAll();
    assertEquals(namesIn(parent), ["credentials.json.lock"]);
    assertEquals(backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    assertEquals(backend.get(KEY), entry());
  },
);

for (const key of AWKWARD_KEYS) {
  Deno.test(`a file backend keeps an entry under the key ${JSON.stringify(key).slice(0, 60)}`, {
    permissions,
  }, async () => {
    const backend = backendIn(folder());
    assertEquals(backend.get(key), undefined);
    await backend.put(key, entry({ client_id: key }));
    await backend.put(KEY, entry());
    assertEquals(backendIn(backend.path.replace(/\/[^/]*$/, "")).get(key)?.client_id, key);
    assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY, key].sort());
    await backend.withLock(key, () => backend.delete(key));
    assertEquals(backend.get(key), undefined);
    assertEquals(backend.get(KEY), entry());
  });
}

Deno.test(
  "fields that this release does not know survive a put of another key",
  { permissions },
  async () => {
    const parent = folder();
    const theirs = { ...entry(), x_theirs: { deep: [null, { a: 1 }] }, id_token: null };
    const before = {
      x_top: [1, { b: null }],
      version: 1,
      credentials: { [OTHER]: theirs, x: null },
    };
    write(`${parent}/credentials.json`, before);
    await backendIn(parent).put(KEY, entry());
    const after = { ...before, credentials: { ...before.credentials, [KEY]: entry() } };
    assertEquals(read(`${parent}/credentials.json`), after);
  },
);

Deno.test("a file without a version, or without credentials, counts as empty version 1", {
  permissions,
}, async () => {
  for (const before of [{}, { version: 1 }, { credentials: {} }]) {
    const backend = backendIn(folder());
    write(backend.path, before);
    assertEquals(backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    assertEquals(read(backend.path), { version: 1, credentials: { [KEY]: entry() } });
  }
});

Deno.test("a file of a higher version is read but not changed", { permissions }, async () => {
  const backend = backendIn(folder());
  write(backend.path, { version: 2, credentials: { [KEY]: entry() }, x_new: true });
  const before = Deno.readFileSync(backend.path);
  assertEquals(backend.get(KEY), entry());
  assertEquals(await Array.fromAsync(backend.list()), [KEY]);
  const words = [backend.path, "version 2", "version 1"];
  await rejectsWith("backend_version", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("backend_version", () => backend.put(OTHER, entry()), ...words);
  await rejectsWith("backend_version", () => backend.delete(KEY), ...words);
  await backend.delete(OTHER); // absent: nothing to change
  assertEquals(Deno.readFileSync(backend.path), before);
  await backend.deleteAll();
  assertEquals(backend.get(KEY), undefined);
});

Deno.test("a null row is absent, and a put replaces it", { permissions }, async () => {
  const backend = backendIn(folder());
  write(backend.path, { version: 1, credentials: { [KEY]: null, [OTHER]: entry() } });
  assertEquals(backend.get(KEY), undefined);
  assertEquals(await Array.fromAsync(backend.list()), [OTHER]);
  await backend.put(KEY, entry());
  assertEquals(backend.get(KEY), entry());
});

Deno.test(
  "an entry that JSON cannot hold is an error, and the file is as it was",
  { permissions },
  async () => {
    const backend = backendIn(folder());
    await backend.put(KEY, entry());
    const before = Deno.readFileSync(backend.path);
    const odd = entry({ x_big: 1n });
    await rejectsWith("backend_unavailable", () => backend.put(KEY, odd), backend.path);
    assertEquals(Deno.readFileSync(backend.path), before);
  },
);

Deno.test(
  "a file backend says where it keeps things, and that they last",
  { permissions: "none" },
  () => {
    const backend = new FileCredentialsBackend({ path: "/data/credentials.json" });
    assertEquals(backend.persistent, true);
    assertEquals(backend.location, "/data/credentials.json");
  },
);

Deno.test("a file backend refuses options that it does not know, or that are wrong", {
  permissions: "none",
}, async () => {
  const make = (options: unknown) => () => new FileCredentialsBackend(options as object);
  await rejectsWith(
    "invalid_options",
    make({ paht: "/x" }),
    `"paht"`,
    "path, lockTimeoutMs, onWarning",
  );
  await rejectsWith("invalid_options", make({ path: "" }), `"path"`);
  await rejectsWith("invalid_options", make({ path: 7 }), `"path"`);
  const home = Deno.build.os === "windows" ? "${USERPROFILE}/" : "${HOME}/";
  await rejectsWith("invalid_options", make({ path: "~/credentials.json" }), home);
  await rejectsWith("invalid_options", make({ path: "/x", lockTimeoutMs: -1 }), "lockTimeoutMs");
  await rejectsWith("invalid_options", make({ path: "/x", onWarning: "log" }), "onWarning");
  await rejectsWith("invalid_options", make(null), "not an object");
});
