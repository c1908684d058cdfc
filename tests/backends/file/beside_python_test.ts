import { assert, assertEquals } from "@std/assert";
import { FileStore } from "../../../backends/file/store.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { isExpired } from "../../../client/entry.ts";
import { ALL, backendUrl, startDeno } from "../../support/deno_process.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

/** With a scope, as this module writes it. */
const own = (fields = {}) => entry({ scope: "openid", ...fields });
/** Without one, as the Python library writes it. */
const shared = (fields = {}) => entry({ expires_at: "2020-01-01T00:00:00+00:00", ...fields });

/** The text of a credentials file as the Python library writes it: without a line break at its end. */
function pythonText(rows: Record<string, unknown>): string {
  return JSON.stringify({ version: 1, credentials: rows }, null, 2);
}

function make() {
  const parent = folder();
  const path = `${parent}/c.json`;
  return { parent, path, backend: new FileCredentialsBackend({ path }) };
}

function storeAt(path: string, pythonMs = 0): FileStore {
  return new FileStore({ path, lockTimeoutMs: 30_000, onWarning: () => {}, pythonMs });
}

function writeByPython(path: string, rows: Record<string, unknown>): void {
  Deno.writeTextFileSync(path, pythonText(rows), { mode: 0o600 });
}

// deno-lint-ignore no-explicit-any
function rowsIn(path: string): Record<string, any> {
  return JSON.parse(Deno.readTextFileSync(path)).credentials;
}

/** Waits until the rows are in the file, for two seconds at most. */
async function untilRows(path: string, rows: Record<string, unknown>): Promise<void> {
  const isThere = () => JSON.stringify(rowsIn(path)) === JSON.stringify(rows);
  for (let tries = 0; tries < 200 && !isThere(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(rowsIn(path), rows);
}

/** Ends the watch of a former write: this one is watched for longer. */
const endWatch = (backend: FileCredentialsBackend) => backend.put(KEY, own());

Deno.test({
  name: "a put that the first write of the Python library undoes is found by the next get",
  permissions,
  async fn() {
    const { backend, path } = make();
    await backend.put(KEY, own());
    await backend.put(KEY, own({ x_new: 1 }));
    writeByPython(path, { [KEY]: own(), [OTHER]: entry({ x_python: 1 }) });
    // Also by another session of this process.
    assertEquals(new FileCredentialsBackend({ path }).get(KEY), own({ x_new: 1 }));
    await untilRows(path, { [KEY]: own({ x_new: 1 }), [OTHER]: entry({ x_python: 1 }) });
    await endWatch(backend);
  },
});

Deno.test({
  name: "a first put and a sign-out that the Python library undoes are made again",
  permissions,
  async fn() {
    const { backend, path } = make();
    await backend.put(OTHER, own());
    await backend.put(KEY, own());
    writeByPython(path, { [OTHER]: own() });
    assertEquals(backend.get(KEY), own());
    await untilRows(path, { [OTHER]: own(), [KEY]: own() });
    await backend.delete(KEY);
    writeByPython(path, { [OTHER]: own(), [KEY]: own() });
    assertEquals(backend.get(KEY), undefined);
    await untilRows(path, { [OTHER]: own() });
    await endWatch(backend);
  },
});

Deno.test({
  name: "a state from before several writes of this process counts as undone",
  permissions,
  async fn() {
    const { backend, path } = make();
    for (const n of [1, 2, 3]) await backend.put(KEY, own({ n }));
    writeByPython(path, { [KEY]: own({ n: 1 }) });
    assertEquals(backend.get(KEY), own({ n: 3 }));
    await untilRows(path, { [KEY]: own({ n: 3 }) });
    await endWatch(backend);
  },
});

Deno.test({
  name: "what another program has changed on purpose is not taken back",
  permissions,
  async fn() {
    const { backend, path } = make();
    await backend.put(KEY, own());
    await backend.put(KEY, own({ x_new: 1 }));
    writeByPython(path, { [KEY]: shared({ x_python: 1 }) }); // a refresh
    assertEquals(backend.get(KEY), shared({ x_python: 1 }));
    Deno.writeTextFileSync(path, `${pythonText({ [KEY]: own() })}\n`); // by this module
    assertEquals(backend.get(KEY), own());
    Deno.writeTextFileSync(path, JSON.stringify({ credentials: { [KEY]: own() } })); // by a third program
    assertEquals(backend.get(KEY), own());
    writeByPython(path, { [KEY]: own() });
    const later = new Date(Date.now() + 60_000);
    Deno.utimeSync(path, later, later); // hardly by a program that had read it before the put
    assertEquals(backend.get(KEY), own());
    await backend.deleteAll();
    writeByPython(path, { [KEY]: own() });
    assertEquals(backend.get(KEY), own());
  },
});

Deno.test({
  name: "a sign-out does not come back by a write of the Python library, after a refresh",
  permissions,
  async fn() {
    const { backend, path } = make();
    const now = Date.now;
    Date.now = () => now() - 60_000;
    try {
      await backend.put(KEY, own()); // a sign-in, a while ago
    } finally {
      Date.now = now;
    }
    await backend.put(KEY, own({ x_new: 1 })); // a refresh
    Deno.writeTextFileSync(path, `${pythonText({})}\n`); // a sign-out by another process
    writeByPython(path, { [OTHER]: entry({ x_python: 1 }) });
    assertEquals(backend.get(KEY), undefined);
    await backend.put(OTHER, own());
    assertEquals(rowsIn(path), { [OTHER]: own() });
  },
});

Deno.test({
  name: "a write by a relative path is not made again in another working directory",
  async fn() {
    const [first, second] = [folder(), folder()];
    writeByPython(`${second}/c.json`, { [OTHER]: shared() });
    const code = `
      import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
      const backend = new FileCredentialsBackend({ path: "c.json" });
      const [key, entry, python] = JSON.parse(Deno.args[0]);
      Deno.chdir(${JSON.stringify(first)});
      await backend.put(key, entry);
      Deno.chdir(${JSON.stringify(second)});
      console.log(JSON.stringify(backend.get(key) ?? null));
      await backend.put("another", entry);
      Deno.chdir(${JSON.stringify(first)});
      Deno.writeTextFileSync("c.json", python);
      console.log(JSON.stringify(backend.get(key) ?? null));
    `;
    const args = [JSON.stringify([KEY, own(), pythonText({})])];
    await using child = startDeno({ code, flags: ALL, args });
    assertEquals(JSON.parse(await child.line()), null);
    assertEquals(JSON.parse(await child.line()), own());
    assertEquals(Object.keys(rowsIn(`${second}/c.json`)), [OTHER, "another"]);
  },
});

Deno.test({
  name: "a sign-out of a row that the Python library has removed brings nothing back",
  permissions,
  async fn() {
    const { backend, path } = make();
    await backend.put(KEY, own());
    writeByPython(path, {});
    await backend.delete(KEY);
    assertEquals(backend.get(KEY), undefined);
    assertEquals(rowsIn(path), {});
  },
});

Deno.test({
  name: "a reservation hides the refresh token of a row that the Python library has written",
  permissions,
  async fn() {
    const { path, parent } = make();
    const backend = new FileCredentialsBackend({ path });
    writeByPython(path, { [KEY]: shared(), [OTHER]: shared() });
    const store = storeAt(path);
    const reserved = await store.reserve(KEY, 100);
    const { [KEY]: claimed, [OTHER]: other } = rowsIn(path);
    assertEquals(claimed.refresh_token, null);
    assert(!isExpired(claimed), "the library would ask the person");
    assert(isExpired(claimed, 140), "it looks valid for longer than a refresh takes");
    assertEquals(other, shared());
    assertEquals(backend.get(KEY), shared());
    await reserved[Symbol.asyncDispose](); // the refresh failed
    assertEquals(rowsIn(path), { [KEY]: shared(), [OTHER]: shared() });
    const again = await store.reserve(KEY, 100);
    await store.put(KEY, shared({ x_new: 1 }), { isReplaced: (row) => row?.x_new === undefined });
    await again[Symbol.asyncDispose]();
    assertEquals(rowsIn(path), { [KEY]: shared({ x_new: 1 }), [OTHER]: shared() });
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
  },
});

Deno.test({
  name:
    "a reservation leaves a row as it is where only this module writes, or there is nothing to hide",
  permissions,
  async fn() {
    const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    const documents = [
      { credentials: { [KEY]: own(), [OTHER]: own() } },
      { credentials: { [KEY]: own() }, python_seen: day(32) },
      { credentials: { [KEY]: own() }, python_seen: "never" },
      { credentials: { [KEY]: shared({ refresh_token: null }) }, python_seen: day(0) },
      { credentials: {}, python_seen: day(0) },
    ];
    for (const document of documents) {
      const { path } = make();
      const text = `${JSON.stringify({ version: 1, ...document }, null, 2)}\n`;
      Deno.writeTextFileSync(path, text, { mode: 0o600 });
      await using _reserved = await storeAt(path, 600_000).reserve(KEY, 100);
      assertEquals(Deno.readTextFileSync(path), text);
    }
  },
});

Deno.test({
  name:
    "a row of this module is hidden, too, where the Python library has written the file of late",
  permissions,
  async fn() {
    const { path, backend } = make();
    const store = storeAt(path);
    await store.put(KEY, own());
    writeByPython(path, { [KEY]: own(), [OTHER]: shared() });
    const isHidden = async () => {
      await using _reserved = await storeAt(path).reserve(KEY, 100);
      assertEquals(backend.get(KEY)?.refresh_token, own().refresh_token);
      return rowsIn(path)[KEY].refresh_token === null;
    };
    assert(await isHidden(), "its text is there");
    await store.delete(OTHER);
    await store.put(KEY, own({ x_new: 1 })); // a new sign-in
    assert(await isHidden(), "its text was there");
  },
});

/** The path of the Python library's file in a home, with a row as this module writes it. */
async function defaultFile(key = KEY, fields = {}) {
  const path = `${folder()}/.validmind/credentials.json`;
  const backend = new FileCredentialsBackend({ path });
  const [issuer, client_id] = KEY.split("|");
  await backend.put(key, own({ issuer, client_id, ...fields }));
  return { path, backend };
}

Deno.test({
  name: "in the default file a row is hidden also where the Python library has never written",
  permissions,
  async fn() {
    for (const [key, fields] of [[KEY, {}], [`${KEY}|api`, { audience: "api" }]] as const) {
      const { path, backend } = await defaultFile(key, fields);
      const store = storeAt(path, 600_000); // waits for nothing: the first refresh of a process is slow
      const before = backend.get(key);
      const reserved = await store.reserve(key, 100);
      const { [key]: claimed } = rowsIn(path);
      assertEquals(claimed.refresh_token, null);
      assert(!isExpired(claimed), "the library would ask the person");
      assertEquals(backend.get(key), before);
      await reserved[Symbol.asyncDispose](); // the refresh failed
      assertEquals(rowsIn(path)[key], before);
    }
  },
});

Deno.test({
  name: "in the default file a row stays as it is where the Python library has another key for it",
  permissions,
  async fn() {
    const others = [[`${KEY}|profile`, {}], [KEY, { audience: "api" }], [KEY, { issuer: "x" }]];
    for (const [key, fields] of others as [string, object][]) {
      const { path } = await defaultFile(key, fields);
      const text = Deno.readTextFileSync(path);
      await using _reserved = await storeAt(path).reserve(key, 100);
      assertEquals(Deno.readTextFileSync(path), text);
    }
  },
});

Deno.test({
  name: "a later refresh of a process waits a moment for a first one of the Python library",
  permissions,
  async fn() {
    const { path } = await defaultFile();
    const store = storeAt(path, 60);
    await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
    const start = performance.now();
    await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
    assert(performance.now() - start >= 59);
  },
});

Deno.test({
  name:
    "where a new entry could not be stored, the used refresh token stays hidden from the library",
  permissions,
  async fn() {
    const { path, backend } = await defaultFile();
    const store = storeAt(path);
    {
      await using _reserved = await store.reserve(KEY, 100);
      const whole = Deno.readTextFileSync(path);
      Deno.writeTextFileSync(path, whole.replace('"version": 1', '"version": 99'));
      await rejectsWith("backend_version", () => store.put(KEY, own({ x_new: 1 })));
      Deno.writeTextFileSync(path, whole);
    }
    assertEquals(rowsIn(path)[KEY].refresh_token, null);
    await using _next = await storeAt(path).reserve(KEY, 100);
    assertEquals(backend.get(KEY), own({ x_new: 1 }));
  },
});

Deno.test({
  name: "a reservation waits for the refresh that the Python library may have begun",
  permissions,
  async fn() {
    const { path } = make();
    writeByPython(path, { [KEY]: shared() });
    const store = storeAt(path, 600_000);
    let isReserved = false;
    const reserving = store.reserve(KEY, 100).finally(() => isReserved = true);
    await new Promise((resolve) => setTimeout(resolve, 60)); // some of its looks
    assert(!isReserved);
    writeByPython(path, { [KEY]: shared({ refresh_token: "of-python" }) });
    await (await reserving)[Symbol.asyncDispose]();
    assertEquals(rowsIn(path), { [KEY]: shared({ refresh_token: "of-python" }) });
  },
});

Deno.test({
  name: "a process that is killed in a refresh leaves the refresh token to the next one",
  async fn() {
    const { path, backend } = make();
    writeByPython(path, { [KEY]: shared() });
    const code = `
      import { FileStore } from "${backendUrl("file/store.ts")}";
      const store = new FileStore({
        path: ${JSON.stringify(path)}, lockTimeoutMs: 30_000, onWarning() {}, pythonMs: 0,
      });
      await using room = await store.reserve("${KEY}", 100);
      console.log("reserved");
      await Deno.stdin.read(new Uint8Array(1));
    `;
    await using child = startDeno({ code, flags: ALL });
    assertEquals(await child.line(), "reserved");
    await child.kill();
    assertEquals(rowsIn(path)[KEY].refresh_token, null);
    assertEquals(backend.get(KEY), shared());
    await using _reserved = await storeAt(path).reserve(KEY, 100);
    assertEquals(backend.get(KEY), shared());
  },
});

Deno.test({
  name:
    "an entry that could not be stored in the place of a claimed row is stored by the next process",
  permissions,
  async fn() {
    const { path } = make();
    writeByPython(path, { [KEY]: shared() });
    const setVersion = (version: number) =>
      Deno.writeTextFileSync(path, JSON.stringify({ version, credentials: rowsIn(path) }));
    const reserved = await storeAt(path).reserve(KEY, 100);
    const store = storeAt(path);
    await reserved[Symbol.asyncDispose]();
    await using again = await store.reserve(KEY, 100);
    setVersion(99);
    await rejectsWith("backend_version", () => store.put(KEY, shared({ x_new: 1 })));
    setVersion(1);
    await again[Symbol.asyncDispose]();
    const next = new FileCredentialsBackend({ path });
    await using _next = await storeAt(path).reserve(KEY, 100);
    assertEquals(next.get(KEY), shared({ x_new: 1 }));
  },
});

Deno.test({
  name:
    "a write that is undone again while it is put back is put back again, unless a later one came",
  permissions,
  async fn() {
    const { backend, path } = make();
    for (const n of [1, 2]) await backend.put(KEY, own({ n }));
    writeByPython(path, { [KEY]: own({ n: 1 }) });
    backend.get(KEY);
    writeByPython(path, { [KEY]: own({ n: 1 }) });
    await untilRows(path, { [KEY]: own({ n: 2 }) });
    const put = backend.put(KEY, own({ n: 3 })); // while the former one is watched
    await Promise.resolve();
    writeByPython(path, { [KEY]: own({ n: 1 }) });
    await put;
    assertEquals(rowsIn(path), { [KEY]: own({ n: 3 }) });
  },
});
