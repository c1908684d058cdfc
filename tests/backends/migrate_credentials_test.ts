import { assertEquals } from "@std/assert";
import {
  FileCredentialsBackend,
  MemoryCredentialsBackend,
  migrateCredentials,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { probeKey } from "../../backends/common/marks.ts";
import { wrapBackend } from "../../backends/common/wrap_backend.ts";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { entry, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { tempDir } from "../support/temp_home.ts";
import { testWith } from "../support/test_with.ts";
import { testKey } from "./encrypted/encryption_keys.ts";
import { minimal } from "./stores.ts";
import { storeError } from "../support/error_parts.ts";

const MOVE = { deleteSource: true };
/** Its end is no date, also if Date.parse finds one in it. */
const ENDLESS = entry({ access_token: "old", expires_at: "after 2200" });
const ENDED = entry({ access_token: "old", expires_at: "2020-01-01T00:00:00Z" });

function memory(rows: Record<string, OidcCredentials> = {}): MemoryCredentialsBackend {
  const backend = new MemoryCredentialsBackend();
  for (const [key, value] of Object.entries(rows)) backend.put(key, value);
  return backend;
}

/** A memory backend of three methods, with others in their place or beside them. */
function altered(good: MemoryCredentialsBackend, methods: Partial<OidcCredentialsBackend> = {}) {
  return { ...minimal(good), ...methods };
}

const fallback = (last: OidcCredentialsBackend) =>
  new FallbackCredentialsBackend({ backends: [memory(), last] });

const KEY = await testKey();
const encrypted = (backend: OidcCredentialsBackend) =>
  new EncryptedCredentialsBackend({ backend, key: KEY });

const test = testWith({}, "migrateCredentials: ");

test("all entries are copied, which live twice is said, and a source is emptied when asked", async () => {
  const rows = { a: entry(), b: entry({ refresh_token: null, x_extra: [1] }) };
  const [from, to] = [memory(rows), memory()];
  const none = { kept: [], deleted: [] };
  const copied = ["a", "b"];
  assertEquals(await migrateCredentials(from, to), { ...none, copied, liveCopies: ["a"] });
  assertEquals([to.get("a"), to.get("b"), from.get("a")], [rows.a, rows.b, rows.a]);
  const moved = await migrateCredentials(from, memory(), MOVE);
  assertEquals(moved, { ...none, copied, deleted: copied, liveCopies: [] });
  assertEquals(await Array.fromAsync(from.list()), []);
});

test("it goes on where an interrupted run ended", async () => {
  const from = memory({ a: entry(), b: entry(), c: entry() });
  const to = memory();
  const stopping = altered(to, {
    put: (key, value) =>
      key === "c" ? Promise.reject(new Error("interrupted")) : to.put(key, value),
  });
  await rejectsWith("backend_unavailable", () => migrateCredentials(from, stopping, MOVE));
  assertEquals(await Array.fromAsync(from.list()), ["c"]);
  assertEquals((await migrateCredentials(from, to, MOVE)).copied, ["c"]);
  assertEquals(await Array.fromAsync(to.list()), ["a", "b", "c"]);
});

test("what was refreshed at the target stays, and what ended earlier is replaced", async () => {
  const refreshed = entry({ refresh_token: "rotated", expires_at: "2099-06-01T00:00:00.000Z" });
  const to = memory({ a: refreshed, b: ENDED, c: entry({ x_same: 1 }), d: ENDLESS });
  const from = memory({ a: entry(), b: entry(), c: entry(), d: entry() });
  const { copied, kept, deleted } = await migrateCredentials(from, to, MOVE);
  assertEquals([copied, kept, deleted], [["b", "d"], ["a", "c"], ["a", "b", "c", "d"]]);
  assertEquals([to.get("a"), to.get("b")], [refreshed, entry()]);
});

test("two backends that share a store are refused, and each entry stays where it is", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const file = () => new FileCredentialsBackend({ path });
  const inner = memory({ a: entry() });
  const nested = (backend: OidcCredentialsBackend) => encrypted(fallback(backend));
  for (const wrap of [fallback, encrypted, nested]) {
    const stores = [[wrap(inner), inner], [wrap(file()), file()], [wrap(file()), wrap(file())]];
    for (const [one, other] of stores.flatMap(([one, other]) => [[one!, other!], [other!, one!]])) {
      const run = () => migrateCredentials(one!, other!, MOVE);
      await rejectsWith("invalid_options", run, "share none");
    }
  }
  assertEquals([inner.get("a"), await Array.fromAsync(inner.list())], [entry(), ["a"]]);
});

test("one store by two names, which nothing tells, is refused before its only copy is deleted", async () => {
  const good = memory({ a: entry() });
  const list = () => good.list();
  const run = () => migrateCredentials(altered(good, { list }), altered(good, { list }), MOVE);
  await rejectsWith("invalid_options", run, "are one store");
  assertEquals([good.get("a"), await Array.fromAsync(good.list())], [entry(), ["a"]]);
});

test("the source is kept where the copy reads back differently, and shows no control characters", async () => {
  const key = "a\x1b[31m";
  const cut = (row: OidcCredentials) => ({ ...row, access_token: "cut" });
  for (const damage of [cut, () => undefined]) {
    const from = memory({ [key]: entry() });
    const good = memory();
    const to = altered(good, {
      get: (key) => {
        const row = good.get(key);
        return row && damage(row);
      },
    });
    const run = () => migrateCredentials(from, to, MOVE);
    const { message } = await rejectsWith("backend_unproven", run, "The source still has it");
    assertEquals([message.includes("\x1b"), from.get(key)], [false, entry()]);
  }
});

test("a store's failure names what was done", async () => {
  const fails = (name: string) =>
    wrapBackend(memory({ a: entry() }), { [name]: () => Promise.reject(new Error("no")) });
  const good = () => memory({ a: entry() });
  for (
    const [from, to, action] of [
      [fails("get"), memory(), "read"],
      [good(), wrapBackend(memory(), { put: () => Promise.reject(new Error("no")) }), "write"],
      [good(), fails("delete"), "delete"], // the probe
      [fails("delete"), memory(), "delete"],
      [fails("withLock"), memory(), "lock"],
    ] as const
  ) {
    const run = () => migrateCredentials(from, to, MOVE);
    await rejectsWith("backend_unavailable", run, `Cannot ${action} credentials in `);
  }
});

test("one store, none, and a source that cannot list are refused", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const file = () => new FileCredentialsBackend({ path });
  await file().put("a", entry());
  const good = memory();
  for (
    const [from, to, code, words] of [
      [file(), file(), "invalid_options", "one store"],
      [good, good, "invalid_options", "one store"],
      [altered(good), memory(), "backend_no_list", "Sign in again with the target"],
      [{}, good, "invalid_backend", "the source"],
      [good, undefined, "invalid_backend", "the target"],
    ] as const
  ) {
    const run = () => migrateCredentials(from as typeof good, to as typeof good, MOVE);
    await rejectsWith(code, run, words);
  }
  const wrong = { deleteSource: 1 } as unknown as typeof MOVE;
  await rejectsWith("invalid_options", () => migrateCredentials(good, memory(), wrong), "delete");
  assertEquals(file().get("a"), entry());
  await Deno.writeTextFile(path, "{");
  await rejectsWith("backend_corrupt", () => migrateCredentials(file(), memory()), path);
  assertEquals(await Deno.readTextFile(path), "{");
});

test("neither a sign-in to the target is overwritten nor a sign-out of it undone", async () => {
  const newer = entry({ access_token: "newer" });
  for (const change of ["sign in", "sign out"]) {
    for (const when of ["list", "lock", "put"]) {
      const from = memory({ a: entry() });
      const good = memory({ a: ENDED });
      const meet = (at: string) => {
        if (at !== when) return;
        if (change === "sign in") good.put("a", newer);
        else good.delete("a");
      };
      const to = altered(good, {
        list: () => good.list(),
        // By another process, before this one has the lock, or without it right before its write.
        withLock: async (_key, fn) => {
          meet("lock");
          return await fn();
        },
        put: (key, value, options) => {
          if (key === "a") meet("put"); // else it is the probe's
          const isWanted = options?.isReplaced?.(good.get(key)) ?? true;
          return isWanted && good.put(key, value);
        },
      });
      const listing = altered(from, {
        list: async function* () {
          meet("list");
          yield* from.list();
        },
        withLock: (key, fn, options) => from.withLock(key, fn, options),
      });
      const { copied, deleted, kept } = await migrateCredentials(listing, to, MOVE);
      const isKept = change === "sign in" && when !== "put";
      assertEquals([copied, deleted, kept], isKept ? [[], ["a"], ["a"]] : [[], [], []]);
      assertEquals(good.get("a"), change === "sign in" ? newer : undefined);
      assertEquals(from.get("a"), isKept ? undefined : entry());
    }
  }
});

test("the locks of both are held while it copies, one after the other", async () => {
  const order: string[] = [];
  const spied = (name: string, good: MemoryCredentialsBackend) =>
    altered(good, {
      list: () => good.list(),
      put: (key, value) => {
        order.push("copied");
        good.put(key, value);
      },
      withLock: async (key, fn, options) => {
        order.push(`${name} locked`);
        const value = await good.withLock(key, fn, options);
        order.push(`${name} free`);
        return value;
      },
    });
  await migrateCredentials(spied("from", memory({ a: entry() })), spied("to", memory()));
  const expected = ["from locked", "to locked", "copied", "to free", "from free"];
  assertEquals(order, expected);
});

test("no entry of a probe is copied, nor one that was cleared meanwhile", async () => {
  const good = memory({ [await probeKey("a")]: entry(), a: entry(), b: entry() });
  const from = altered(good, {
    list: async function* () {
      yield* good.list();
      good.delete("b");
    },
  });
  const to = memory();
  assertEquals((await migrateCredentials(from, to)).copied, ["a"]);
  assertEquals(await Array.fromAsync(to.list()), ["a"]);
});

test("no row that a backend throws is shown", async () => {
  const fail = () => {
    throw new SyntaxError(`Unexpected token in ${JSON.stringify(entry())}`);
  };
  const good = () => memory({ a: entry() });
  const list = () => good().list();
  const cases: [Partial<OidcCredentialsBackend>, Partial<OidcCredentialsBackend>][] = [
    [{ list, get: fail }, {}],
    [{ list, delete: fail }, {}],
    [{ list: fail }, {}],
    [{ list, withLock: fail }, {}],
    [{ list }, { get: fail }],
    [{ list }, { put: fail }],
    [{ list }, { list: fail }],
  ];
  for (const [source, target] of cases) {
    const run = () => migrateCredentials(altered(good(), source), altered(memory(), target), MOVE);
    await rejectsWith("backend_unavailable", run, "threw SyntaxError");
  }
  const codes = [["backend_denied", "backend_denied"], ["Odd!", "backend_unavailable"]];
  for (const [code, told] of codes) {
    const quote = () => {
      const message = `Cannot read: ${SECRETS.access} is refused. Ask.`;
      throw storeError(code as "backend_denied", message);
    };
    const run = () => migrateCredentials(good(), altered(memory(), { put: quote }));
    await rejectsWith(told as "backend_denied", run, "Cannot read: [removed] is refused.");
  }
});
