import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend, type FallbackEvent } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

/** A store that can be made to fail. */
class FlakyBackend implements OidcCredentialsBackend {
  readonly location: string;
  readonly persistent = true;
  readonly rows = new MemoryCredentialsBackend();
  readonly calls: string[] = [];
  /** The error that each method throws, by its name or for all. */
  faults: Partial<Record<"get" | "put" | "delete" | "list" | "all", CredentialsBackendErrorCode>> =
    {};

  constructor(location: string) {
    this.location = location;
  }
  get(key: string): OidcCredentials | undefined {
    this.#called("get");
    return this.rows.get(key);
  }
  put(key: string, entry: OidcCredentials): void {
    this.#called("put");
    this.rows.put(key, entry);
  }
  delete(key: string): void {
    this.#called("delete");
    this.rows.delete(key);
  }
  async *list(): AsyncGenerator<string> {
    this.#called("list");
    yield* this.rows.list();
  }
  #called(method: "get" | "put" | "delete" | "list"): void {
    this.calls.push(method);
    const code = this.faults[method] ?? this.faults.all;
    if (code !== undefined) throw fault(code, this.location);
  }
}

function fault(code: CredentialsBackendErrorCode, where = "somewhere"): CredentialsBackendError {
  return new CredentialsBackendError(code, `Cannot reach ${where}: it failed. Mend it.`);
}

function trio() {
  const [a, b, c] = [new FlakyBackend("a"), new FlakyBackend("b"), new FlakyBackend("c")];
  const events: FallbackEvent[] = [];
  const open = () =>
    new FallbackCredentialsBackend({
      backends: [a, b, c],
      onFallback: (event) => void events.push(event),
    });
  return { a, b, c, events, open, backend: open() };
}

function keyless(event: FallbackEvent): Partial<FallbackEvent> {
  const { message: _, ...rest } = event;
  return rest;
}

testCredentialsBackend(
  "fallback of memory and memory",
  () =>
    new FallbackCredentialsBackend({
      backends: [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()],
    }),
  {
    broken: () => {
      const a = new FlakyBackend("a");
      a.faults.all = "backend_corrupt";
      return new FallbackCredentialsBackend({ backends: [new MemoryCredentialsBackend(), a] });
    },
    permissions: "none",
  },
);

testCredentialsBackend(
  "fallback of kv and memory, by size",
  () =>
    new FallbackCredentialsBackend({
      backends: [new KvCredentialsBackend(), new MemoryCredentialsBackend()],
      onFallback: () => {},
    }),
  { permissions: "none" },
);

const parent = folder();
testCredentialsBackend(
  "fallback of file and file",
  () =>
    new FallbackCredentialsBackend({
      backends: ["one", "two"].map((name) =>
        new FileCredentialsBackend({ path: `${parent}/${name}.json` })
      ),
    }),
  {
    broken: () => {
      const path = `${folder()}/credentials.json`;
      Deno.writeTextFileSync(path, "{", { mode: 0o600 });
      return new FallbackCredentialsBackend({ backends: [new FileCredentialsBackend({ path })] });
    },
    permissions,
  },
);

Deno.test("an entry goes to the first store, and only there", async () => {
  const { a, b, c, backend, events } = trio();
  await backend.put(KEY, entry());
  assertEquals(await backend.get(KEY), entry());
  assertEquals([a.rows, b.rows, c.rows].map((rows) => rows.get(KEY) !== undefined), [
    true,
    false,
    false,
  ]);
  assertEquals(events, []);
});

const REFUSALS: CredentialsBackendErrorCode[] = ["backend_too_large", "backend_full"];
const SILENCES: CredentialsBackendErrorCode[] = ["backend_unavailable", "backend_timeout"];
const FAULTS: CredentialsBackendErrorCode[] = [
  "permission_required",
  "backend_denied",
  "backend_auth_failed",
  "backend_corrupt",
  "backend_version",
  "backend_locked",
  "keychain_locked",
  "decryption_failed",
  "encryption_key_unknown",
  "unstable_kv_required",
];

for (const code of REFUSALS) {
  Deno.test(`${code} when writing: the next store takes it, which is told once`, async () => {
    const { a, b, backend, events } = trio();
    a.faults.put = code;
    await backend.put(KEY, entry());
    await backend.put(OTHER, entry());
    assertEquals([a.rows.get(KEY), await backend.get(KEY)], [undefined, entry()]);
    assert(b.rows.get(KEY) !== undefined);
    assertEquals(events.map(keyless), [{ action: "store", missed: "a", code, used: "b" }]);
    assertEquals(events[0]?.message, `a was passed over (${code}): the tokens are kept in b.`);
  });
}

for (const code of SILENCES) {
  Deno.test(`${code} when reading: the store counts as empty, and the next one is used`, async () => {
    const { a, b, backend, events } = trio();
    a.faults.all = code;
    assertEquals(await backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    assertEquals([await backend.get(KEY), b.rows.get(KEY) !== undefined], [entry(), true]);
    assert(!a.calls.includes("put")); // what does not answer is not written to
    await backend.delete(KEY);
    assertEquals(b.rows.get(KEY), undefined);
    assertEquals(events.map(keyless), [
      { action: "store", missed: "a", code, used: "b" },
      { action: "delete", missed: "a", code },
    ]);
  });

  Deno.test(`${code} when only writing is an error: it may have been written`, async () => {
    const { a, b, backend } = trio();
    a.faults.put = code;
    await rejectsWith(code, () => backend.put(KEY, entry()));
    assertEquals(b.calls, ["get"]);
  });
}

for (const code of FAULTS) {
  Deno.test(`${code} is an error, whatever the other stores have`, async () => {
    const { a, b, backend } = trio();
    b.rows.put(KEY, entry());
    a.faults.all = code;
    await rejectsWith(code, () => backend.get(KEY));
    await rejectsWith(code, () => backend.put(KEY, entry()));
    await rejectsWith(code, () => Array.fromAsync(backend.list!()));
    assert(!b.calls.includes("put"));
    await rejectsWith(code, () => backend.delete(KEY));
    assertEquals(b.rows.get(KEY), undefined); // removed where it could be
    a.faults = { put: code };
    await rejectsWith(code, () => backend.put(KEY, entry()));
    assertEquals(b.rows.get(KEY), undefined);
  });
}

Deno.test("an error without a code is passed on, and nothing falls back", async () => {
  const { b, backend, a } = trio();
  a.get = () => {
    throw new TypeError("odd");
  };
  await assertRejects(() => backend.get(KEY), TypeError);
  await assertRejects(() => backend.put(KEY, entry()), TypeError);
  assert(!b.calls.includes("put"));
});

Deno.test("when none takes it, the error names each with its reason, and the old entry stays", async () => {
  const { a, b, c, backend } = trio();
  await backend.put(KEY, entry());
  for (const [store, code] of [[a, "backend_full"], [b, "backend_too_large"]] as const) {
    store.faults.put = code;
  }
  c.faults.put = "backend_full";
  await rejectsWith(
    "backend_full",
    () => backend.put(KEY, entry({ access_token: "new" })),
    "a (backend_full), b (backend_too_large), c (backend_full)",
  );
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("a copy that is superseded is removed once the newer one is stored", async () => {
  const { a, b, backend, open } = trio();
  await backend.put(KEY, entry());
  a.faults.put = "backend_too_large";
  await backend.put(KEY, entry({ access_token: "larger" }));
  assertEquals(a.rows.get(KEY), undefined);
  assertEquals((await backend.get(KEY))?.access_token, "larger");
  a.faults = {};
  await open().put(KEY, entry({ access_token: "small again" }));
  assertEquals([a.rows.get(KEY)?.access_token, b.rows.get(KEY)], ["small again", undefined]);
});

Deno.test("an old copy whose removal failed never wins, also where the newer one cannot be seen", async () => {
  const { a, b, backend, open } = trio();
  a.faults = { put: "backend_too_large" };
  await backend.put(KEY, entry({ access_token: "old" }));
  a.faults = {};
  b.faults = { delete: "backend_unavailable" };
  await backend.put(KEY, entry({ access_token: "new" }));
  assertEquals((await open().get(KEY))?.access_token, "new");
  assertEquals(b.rows.get(KEY)?.access_token, "old");
  a.faults = { all: "backend_unavailable" };
  await rejectsWith("backend_unavailable", () => open().get(KEY), "Cannot reach a");
  await rejectsWith("backend_unavailable", () => open().put(KEY, entry()), "Cannot reach a");
  a.faults = b.faults = {};
  await backend.put(KEY, entry({ access_token: "newer" }));
  assertEquals(b.rows.get(KEY), undefined); // cleaned up by the next write
});

Deno.test("a full store keeps an old copy, which never counts, and the write to the next one succeeds", async () => {
  const { a, b, backend, open, events } = trio();
  await backend.put(KEY, entry({ access_token: "old" }));
  a.faults = { put: "backend_full", delete: "backend_full" };
  await backend.put(KEY, entry({ access_token: "new" }));
  assertEquals(events.map(keyless), [
    { action: "store", missed: "a", code: "backend_full", used: "b" },
    { action: "delete", missed: "a", code: "backend_full" },
  ]);
  assertEquals(a.rows.get(KEY)?.access_token, "old");
  assertEquals((await open().get(KEY))?.access_token, "new");
  b.faults = { all: "backend_unavailable" };
  await rejectsWith("backend_unavailable", () => open().get(KEY), "Cannot reach b");
  b.faults = {};
  a.faults = { put: "backend_full" };
  await backend.put(KEY, entry({ access_token: "newer" }));
  assertEquals([a.rows.get(KEY), b.rows.get(KEY)?.access_token], [undefined, "newer"]);
});

Deno.test("a full later store that takes no mark lets no earlier one take the entry", async () => {
  const { a, b, c, backend, open } = trio();
  a.faults = { put: "backend_too_large" };
  await backend.put(KEY, entry({ access_token: "old" }));
  a.faults = {};
  b.faults = { put: "backend_full", delete: "backend_full" };
  await backend.put(KEY, entry({ access_token: "new" }));
  // Else the old copy in b would count as soon as a does not answer.
  assertEquals([a.rows.get(KEY), c.rows.get(KEY)?.access_token], [undefined, "new"]);
  a.faults = { all: "backend_unavailable" };
  assertEquals((await open().get(KEY))?.access_token, "new");
});

Deno.test("marks are taken back where no store takes the entry", async () => {
  const { a, b, c, backend } = trio();
  a.faults = { put: "backend_too_large" };
  await backend.put(KEY, entry({ access_token: "old" }));
  const row = b.rows.get(KEY);
  b.put = (key, value) => {
    if (value.access_token !== "old") throw fault("backend_too_large");
    b.rows.put(key, value);
  };
  c.faults = { put: "backend_full" };
  await rejectsWith("backend_full", () => backend.put(KEY, entry({ access_token: "new" })));
  assertEquals(b.rows.get(KEY), row);
});

Deno.test("a crash between the mark and the newer copy leaves the marked one in use", async () => {
  const { b, a, backend, open } = trio();
  a.faults = { put: "backend_too_large" };
  await backend.put(KEY, entry());
  a.faults = { put: "backend_denied" }; // ends the write after the mark, as a crash would
  await rejectsWith("backend_denied", () => backend.put(KEY, entry({ access_token: "new" })));
  assertEquals((b.rows.get(KEY)?.fallback_copy as Record<string, unknown>).superseded, true);
  assertEquals(await open().get(KEY), entry());
  a.faults = {};
  await open().put(KEY, entry({ access_token: "newest" }));
  assertEquals((await open().get(KEY))?.access_token, "newest");
});

Deno.test("a store in which this process saw the entry is missed, not empty", async () => {
  const { a, b, backend, open } = trio();
  await backend.put(KEY, entry());
  a.faults = { all: "backend_unavailable" };
  await rejectsWith("backend_unavailable", () => backend.get(KEY));
  await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()));
  await rejectsWith("backend_unavailable", () => backend.delete(KEY));
  assert(!b.calls.includes("put"));
  for (const now = Date.now(); Date.now() === now;); // only the clock orders what cannot be seen
  const other = open(); // has seen nothing, and may sign in anew
  assertEquals(await other.get(KEY), undefined);
  await other.put(KEY, entry({ access_token: "second sign-in" }));
  assertEquals((await backend.get(KEY))?.access_token, "second sign-in"); // the first may use it, too
  a.faults = {};
  assertEquals((await backend.get(KEY))?.access_token, "second sign-in"); // the later one wins
});

Deno.test("the order does not hang on a clock: a write beats what it saw from the future", async () => {
  const { a, b, backend } = trio();
  const generation = Date.now() + 1e12;
  const lineage = "0123456789abcdef";
  b.rows.put(KEY, entry({ access_token: "future", fallback_copy: { lineage, generation } }));
  await backend.put(KEY, entry({ access_token: "now" }));
  assertEquals(a.rows.get(KEY)?.fallback_copy, { lineage, generation: generation + 2 });
  assertEquals((await backend.get(KEY))?.access_token, "now");
});

Deno.test("a silent store is an error where it may hold a newer copy, and is passed over where it cannot", async () => {
  const { a, b, c, backend, open } = trio();
  await backend.put(KEY, entry({ access_token: "first" }));
  b.faults = { all: "backend_unavailable" };
  await rejectsWith("backend_unavailable", () => open().get(KEY), "Cannot reach b");
  await rejectsWith("backend_unavailable", () => open().put(KEY, entry()), "Cannot reach b");
  b.faults = {};
  a.faults = { all: "backend_timeout" };
  const other = open();
  assertEquals(await other.get(KEY), undefined);
  await other.put(KEY, entry({ access_token: "second" })); // sees nothing to count on from
  assertEquals((await open().get(KEY))?.access_token, "second");
  a.faults = {};
  assertEquals((await open().get(KEY))?.access_token, "second");
  b.faults = { all: "backend_unavailable" };
  await rejectsWith("backend_unavailable", () => open().get(KEY), "Cannot reach b");
  b.faults = {};
  c.faults = { all: "backend_unavailable" };
  for (const run of [() => open().get(KEY), () => open().get("absent")]) {
    await rejectsWith("backend_unavailable", run, "Cannot reach c");
  }
});

for (
  const planted of [
    { generation: 2 ** 53 - 1 },
    { lineage: "0123456789abcdef", generation: 2 ** 53 - 1 },
    { lineage: "0123456789abcdef", generation: 1e300, superseded: true },
    { lineage: 7, generation: 7 },
    { lineage: "0123456789abcdef", generation: "9" },
    { generation: 2 ** 53 - 1, superseded: true },
    "planted",
    null,
  ]
) {
  Deno.test(`a planted order never counts: ${JSON.stringify(planted)}`, async () => {
    for (const isSameLineage of [false, true]) {
      const { a, b, c, backend } = trio();
      await backend.put(KEY, entry({ access_token: "ours" }));
      const { lineage } = a.rows.get(KEY)?.fallback_copy as { lineage: string };
      const field = typeof planted === "object" && planted !== null && isSameLineage
        ? { ...planted, lineage }
        : planted;
      for (const store of [b, c]) {
        store.rows.put(KEY, entry({ access_token: "planted", fallback_copy: field }));
      }
      if (isSameLineage && JSON.stringify(field).includes(`"generation":7}`)) continue; // a sound one
      assertEquals((await backend.get(KEY))?.access_token, "ours");
      await backend.put(KEY, entry({ access_token: "next" }));
      assertEquals((await backend.get(KEY))?.access_token, "next");
      assertEquals([b.rows.get(KEY), c.rows.get(KEY)], [undefined, undefined]);
    }
  });
}

Deno.test("a counter at its end starts a new lineage, and the newest copy still counts", async () => {
  const { a, backend } = trio();
  const field = { lineage: "0123456789abcdef", generation: 2 ** 48 - 1 };
  a.rows.put(KEY, entry({ fallback_copy: field }));
  for (const access_token of ["next", "last"]) {
    await backend.put(KEY, entry({ access_token }));
    assertEquals((await backend.get(KEY))?.access_token, access_token);
  }
});

Deno.test("a row of another program counts by its expiry, and comes back as it is", async () => {
  const { a, b, c, backend } = trio();
  await backend.put(KEY, entry({ access_token: "ours", expires_at: "2030-01-01T00:00:00Z" }));
  b.rows.put(KEY, entry({ access_token: "later", expires_at: "2030-01-01T01:00:00Z" }));
  c.rows.put(KEY, entry({ access_token: "earlier", expires_at: "2029-01-01T00:00:00Z" }));
  assertEquals((await backend.get(KEY))?.access_token, "later");
  b.rows.delete(KEY);
  assertEquals((await backend.get(KEY))?.access_token, "ours");
  a.rows.delete(KEY);
  assertEquals((await backend.get(KEY))?.access_token, "earlier");
  c.rows.put(KEY, entry({ expires_at: undefined }));
  assertEquals(
    await backend.get(KEY),
    JSON.parse(JSON.stringify(entry({ expires_at: undefined }))),
  );
});

Deno.test("status() tells where a credential is, and why a store cannot say, without a secret", async () => {
  const { a, b, c, backend } = trio();
  a.faults = { all: "backend_unavailable" };
  await backend.put(KEY, entry());
  c.rows.put(KEY, entry({ fallback_copy: { generation: 1, superseded: true } }));
  const status = await backend.status(KEY);
  const name = "FlakyBackend";
  assertEquals(status, [
    { name, location: "a", state: "failed", code: "backend_unavailable", inUse: false },
    { name, location: "b", state: "holds", inUse: true },
    { name, location: "c", state: "holds", inUse: false },
  ]);
  assertNoSecret(status);
  b.get = () => {
    throw new Error(`odd: ${JSON.stringify(entry())}`);
  };
  const [, odd] = await backend.status("absent");
  assertEquals(odd, { name, location: "b", state: "failed", inUse: false });
});

Deno.test("list() gives each key once, and leaves out a store that does not answer", async () => {
  const { a, b, c, backend, events } = trio();
  a.rows.put(KEY, entry());
  b.rows.put(KEY, entry());
  b.rows.put(OTHER, entry());
  c.faults.all = "backend_timeout";
  assertEquals((await Array.fromAsync(backend.list!())).toSorted(), [KEY, OTHER].toSorted());
  assertEquals(events.map(keyless), [{ action: "list", missed: "c", code: "backend_timeout" }]);
});

Deno.test("deleteAll() and close() reach every store, also after one that fails", async () => {
  const stores = [1, 2, 3].map(() => {
    const calls: string[] = [];
    const run = (name: string) => () => {
      calls.push(name);
      if (store === stores[0]) throw fault("backend_denied");
    };
    const store = Object.assign(new MemoryCredentialsBackend(), {
      calls,
      deleteAll: run("deleteAll"),
      close: run("close"),
    });
    return store;
  });
  const backend = new FallbackCredentialsBackend({ backends: stores });
  await rejectsWith("backend_denied", () => backend.deleteAll!());
  await rejectsWith("backend_denied", () => backend.close());
  assertEquals(stores.map(({ calls }) => calls), Array(3).fill(["deleteAll", "close"]));
});

Deno.test("what a store lacks is lacking here, and what all have is joined", () => {
  const minimal: OidcCredentialsBackend = { get: () => undefined, put() {}, delete() {} };
  const memory = () => new MemoryCredentialsBackend();
  const file = (name: string) => new FileCredentialsBackend({ path: `/data/${name}.json` });
  const make = (...backends: OidcCredentialsBackend[]) =>
    new FallbackCredentialsBackend({ backends });
  const bare = make(minimal);
  for (const name of ["withLock", "list", "deleteAll", "requiredPermissions"] as const) {
    assertEquals(bare[name], undefined);
  }
  const mixed = make(memory(), minimal);
  assertEquals([mixed.withLock !== undefined, mixed.list, mixed.deleteAll], [
    true,
    undefined,
    undefined,
  ]);
  assertEquals(make(file("x"), minimal).requiredPermissions, undefined);
  assertEquals(make(file("x"), file("y")).requiredPermissions!(), [
    ...file("x").requiredPermissions(),
    ...file("y").requiredPermissions(),
  ]);
  assertEquals(make(file("x"), file("y")).persistent, true);
  assertEquals(make(file("x"), minimal).persistent, undefined);
  assertEquals(make(file("x"), memory(), minimal).persistent, false);
  assertEquals(make(file("x"), memory()).location, "/data/x.json, else the memory of this process");
});

Deno.test("the constructor refuses what is no list of different backends", async () => {
  const memory = new MemoryCredentialsBackend();
  const file = () => new FileCredentialsBackend({ path: "/data/x.json" });
  for (const options of [undefined, {}, { backends: [] }, { backends: memory }]) {
    await rejectsWith("invalid_options", () => new FallbackCredentialsBackend(options as never));
  }
  const make = (options: unknown) => () => new FallbackCredentialsBackend(options as never);
  await rejectsWith("invalid_options", make({ backends: [memory], then: 1 }), '"then"');
  await rejectsWith("invalid_options", make({ backends: [memory], onFallback: 1 }), '"onFallback"');
  await rejectsWith("invalid_options", make({ backends: [memory, memory] }), "one store");
  await rejectsWith("invalid_options", make({ backends: [file(), file()] }), "one store");
  await rejectsWith("invalid_backend", make({ backends: [memory, {}] }), "backends[1]");
  make({ backends: [memory, new MemoryCredentialsBackend()] })();
});

Deno.test("a callback that throws makes no failure of what was done", async () => {
  const a = new FlakyBackend("a");
  a.faults.put = "backend_full";
  const backend = new FallbackCredentialsBackend({
    backends: [a, new MemoryCredentialsBackend()],
    onFallback: () => {
      throw new Error("mine");
    },
  });
  await backend.put(KEY, entry());
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("migrateCredentials moves entries out of a fallback and into one, unmarked", async () => {
  const { backend, a } = trio();
  const target = new MemoryCredentialsBackend();
  await backend.put(KEY, entry());
  await migrateCredentials(backend, target, { deleteSource: true });
  assertEquals([target.get(KEY), a.rows.get(KEY)], [entry(), undefined]);
  await migrateCredentials(target, backend, { deleteSource: true });
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("neither the backend nor what it tells shows a secret", async () => {
  const { a, backend, events } = trio();
  a.faults.put = "backend_too_large";
  await backend.put(KEY, entry());
  await backend.put("small", small("x"));
  assertNoSecret(backend);
  assertNoSecret(events);
});
