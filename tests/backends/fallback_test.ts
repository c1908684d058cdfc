import { assertEquals } from "@std/assert";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { fault, FlakyBackend, keyless, trio } from "./fallback/fallback_world.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

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
