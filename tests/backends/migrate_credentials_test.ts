import { assertEquals, assertRejects } from "@std/assert";
import {
  CredentialsBackendError,
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  migrateCredentials,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { sameJson } from "../../backends/common/printable.ts";
import { probeKey } from "../../backends/common/describe_backend.ts";
import { SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { tempDir } from "../support/temp_home.ts";

function entry(fields: Partial<OidcCredentials> = {}): OidcCredentials {
  return {
    issuer: "https://login.example.com",
    client_id: "migration",
    access_token: "fixture-access",
    refresh_token: "fixture-refresh",
    expires_at: "2099-01-01T00:00:00.000Z",
    ...fields,
  };
}

function memory(rows: Record<string, OidcCredentials>): MemoryCredentialsBackend {
  const backend = new MemoryCredentialsBackend();
  for (const [key, value] of Object.entries(rows)) backend.put(key, value);
  return backend;
}

/** A memory backend with some methods replaced. */
function altered(
  good: MemoryCredentialsBackend,
  methods: Partial<OidcCredentialsBackend>,
): OidcCredentialsBackend {
  return {
    get: (key) => good.get(key),
    put: (key, value) => good.put(key, value),
    delete: (key) => good.delete(key),
    ...methods,
  };
}

Deno.test("migrateCredentials copies all entries and says which live twice", async () => {
  const from = memory({ a: entry(), b: entry({ refresh_token: null, x_extra: [1] }) });
  const to = new MemoryCredentialsBackend();
  assertEquals(await migrateCredentials(from, to), {
    copied: ["a", "b"],
    kept: [],
    deleted: [],
    liveCopies: ["a"],
  });
  assertEquals(to.get("b"), entry({ refresh_token: null, x_extra: [1] }));
  assertEquals(from.get("a"), entry());
});

Deno.test("migrateCredentials empties the source when asked", async () => {
  const from = memory({ a: entry() });
  const to = new MemoryCredentialsBackend();
  const result = await migrateCredentials(from, to, { deleteSource: true });
  assertEquals(result, { copied: ["a"], kept: [], deleted: ["a"], liveCopies: [] });
  assertEquals(from.get("a"), undefined);
  assertEquals(to.get("a"), entry());
});

Deno.test("migrateCredentials goes on where an interrupted run ended", async () => {
  const from = memory({ a: entry(), b: entry(), c: entry() });
  const to = new MemoryCredentialsBackend();
  const abort = new AbortController();
  const stopping = altered(to, {
    put: (key, value) => {
      to.put(key, value);
      if (key === "b") abort.abort(new Error("interrupted"));
    },
  });
  const options = { deleteSource: true, signal: abort.signal };
  await assertRejects(() => migrateCredentials(from, stopping, options), Error, "interrupted");
  assertEquals([from.get("a"), from.get("b"), from.get("c")], [undefined, undefined, entry()]);
  const rest = await migrateCredentials(from, to, { deleteSource: true });
  assertEquals(rest.copied, ["c"]);
  assertEquals(await Array.fromAsync(to.list()), ["a", "b", "c"]);
});

Deno.test("migrateCredentials does not overwrite what was refreshed at the target", async () => {
  const refreshed = entry({ refresh_token: "rotated", expires_at: "2099-06-01T00:00:00.000Z" });
  const from = memory({ a: entry() });
  const to = memory({ a: refreshed });
  const result = await migrateCredentials(from, to, { deleteSource: true });
  assertEquals(result.kept, ["a"]);
  assertEquals(to.get("a"), refreshed);
});

Deno.test("migrateCredentials overwrites what ended earlier at the target", async () => {
  const from = memory({ a: entry() });
  const to = memory({ a: entry({ access_token: "old", expires_at: "2020-01-01T00:00:00Z" }) });
  assertEquals((await migrateCredentials(from, to)).copied, ["a"]);
  assertEquals(to.get("a"), entry());
});

Deno.test("migrateCredentials keeps the source when the copy reads back differently", async () => {
  const from = memory({ a: entry() });
  const good = new MemoryCredentialsBackend();
  const to = altered(good, {
    put: (key, value) => good.put(key, { ...value, access_token: "cut" }),
  });
  const error = await assertRejects(
    () => migrateCredentials(from, to, { deleteSource: true }),
    CredentialsBackendError,
  );
  assertEquals(error.code, "backend_unproven");
  assertEquals(from.get("a"), entry());
});

Deno.test("migrateCredentials takes fields in another order, at any depth, for the same entry", async () => {
  const reversed = (value: unknown): unknown =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).reverse().map(([k, v]) => [k, reversed(v)]))
      : value;
  const more = { more: { a: 1, b: { c: [1, 2], d: null } }, "a,b": "c", a: "b,c" };
  const value = { ...entry(), ...more };
  const good = new MemoryCredentialsBackend();
  const to = altered(good, {
    get: (key) => reversed(good.get(key)) as OidcCredentials | undefined,
  });
  assertEquals((await migrateCredentials(memory({ a: value }), to)).copied, ["a"]);
  assertEquals((await migrateCredentials(memory({ a: value }), to)).kept, ["a"]);
  const other = { ...value, more: { ...more.more, b: { c: [2, 1], d: null } } };
  assertEquals([sameJson(value, reversed(value)), sameJson(value, other)], [true, false]);
});

Deno.test("migrateCredentials changes nothing when both backends are one store", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  const from = new FileCredentialsBackend({ path });
  const to = new FileCredentialsBackend({ path });
  await from.put("a", entry());
  const error = await assertRejects(
    () => migrateCredentials(from, to, { deleteSource: true }),
    CredentialsBackendError,
    "one store",
  );
  assertEquals(error.code, "invalid_options");
  assertEquals([await Array.fromAsync(from.list()), from.get("a")], [["a"], entry()]);
});

Deno.test("migrateCredentials neither overwrites a sign-in to the target nor undoes a sign-out of it", async () => {
  const newer = entry({ access_token: "newer" });
  const changes: ((to: MemoryCredentialsBackend) => void)[] = [
    (to) => to.put("a", newer),
    (to) => to.delete("a"),
  ];
  for (const change of changes) {
    for (const isAtLock of [true, false]) {
      const from = memory({ a: entry() });
      const good = memory({ a: entry({ expires_at: "2020-01-01T00:00:00Z" }) });
      const to = altered(good, {
        list: () => good.list(),
        // By another process, before this one has the lock, or without the lock right before its write.
        withLock: async (_key, fn) => {
          if (isAtLock) change(good);
          return await fn();
        },
        put: (key, value, options) => {
          if (key === "a" && !isAtLock) change(good);
          if (options?.isReplaced?.(good.get(key)) ?? true) good.put(key, value);
        },
      });
      const { copied, deleted, kept } = await migrateCredentials(from, to, { deleteSource: true });
      const isKept = change === changes[0] && isAtLock;
      assertEquals([copied, deleted, kept], isKept ? [[], ["a"], ["a"]] : [[], [], []]);
      assertEquals(good.get("a"), change === changes[0] ? newer : undefined);
      assertEquals(from.get("a"), isKept ? undefined : entry());
    }
  }
});

Deno.test("migrateCredentials brings back no entry that is signed out of the target while it begins", async () => {
  const good = memory({ a: entry() });
  const to = memory({ a: entry({ expires_at: "2020-01-01T00:00:00Z" }) });
  const from = altered(good, {
    list: async function* () {
      to.delete("a");
      yield* good.list();
    },
  });
  const { copied, deleted } = await migrateCredentials(from, to, { deleteSource: true });
  assertEquals([copied, deleted, to.get("a"), good.get("a")], [[], [], undefined, entry()]);
});

Deno.test("migrateCredentials holds the locks of both while it copies, one after the other", async () => {
  const order: string[] = [];
  const spied = (name: string, good: MemoryCredentialsBackend) =>
    altered(good, {
      list: () => good.list(),
      withLock: async (key, fn, options) => {
        order.push(`${name} locked`);
        const value = await good.withLock(key, fn, options);
        order.push(`${name} free`);
        return value;
      },
    });
  await migrateCredentials(spied("from", memory({ a: entry() })), spied("to", memory({})));
  assertEquals(order, ["from locked", "to locked", "to free", "from free"]);
});

Deno.test("migrateCredentials copies no entry of a probe, and leaves none", async () => {
  const probe = await probeKey("a");
  const to = memory({});
  const { copied } = await migrateCredentials(memory({ [probe]: entry(), a: entry() }), to);
  assertEquals([copied, await Array.fromAsync(to.list())], [["a"], ["a"]]);
});

Deno.test("migrateCredentials holds the source's lock while it copies", async () => {
  const from = memory({ a: entry() });
  const good = new MemoryCredentialsBackend();
  const order: string[] = [];
  let refresh: Promise<void> | undefined;
  const to = altered(good, {
    put: async (key, value) => {
      if (key !== "a") return good.put(key, value);
      refresh = from.withLock("a", () => Promise.resolve(void order.push("refresh")));
      await Promise.resolve();
      good.put(key, value);
      order.push("copied");
    },
  });
  await migrateCredentials(from, to, { deleteSource: true });
  await refresh;
  assertEquals(order, ["copied", "refresh"]);
});

Deno.test("migrateCredentials works without locks and skips what was cleared meanwhile", async () => {
  const good = memory({ a: entry(), b: entry() });
  const from = altered(good, {
    list: async function* () {
      yield "a";
      good.delete("b");
      yield "b";
    },
  });
  const to = new MemoryCredentialsBackend();
  assertEquals((await migrateCredentials(from, to)).copied, ["a"]);
});

Deno.test("migrateCredentials refuses a source that cannot list, one backend, and no backend", async () => {
  const good = memory({});
  const code = async (from: unknown, to: unknown) => {
    const error = await assertRejects(
      () => migrateCredentials(from as OidcCredentialsBackend, to as OidcCredentialsBackend),
      CredentialsBackendError,
    );
    return error.code;
  };
  assertEquals(await code(altered(good, {}), memory({})), "backend_no_list");
  assertEquals(await code(good, good), "invalid_options");
  assertEquals(await code({}, good), "invalid_backend");
  assertEquals(await code(good, undefined), "invalid_backend");
});

Deno.test("migrateCredentials leaves a corrupt source as it is", async () => {
  await using folder = await tempDir();
  const path = `${folder.path}/credentials.json`;
  await Deno.writeTextFile(path, "{");
  const error = await assertRejects(
    () => migrateCredentials(new FileCredentialsBackend({ path }), memory({})),
    CredentialsBackendError,
  );
  assertEquals(error.code, "backend_corrupt");
  assertEquals(await Deno.readTextFile(path), "{");
});

Deno.test("migrateCredentials copies no text of an entry, and overwrites none", async () => {
  const good = memory({ a: entry() });
  const text = altered(good, {
    get: (key) => JSON.stringify(good.get(key)) as unknown as OidcCredentials,
    list: () => good.list(),
  });
  const target = memory({});
  const words = ["gave a string, not an entry", "Nothing was changed"];
  await rejectsWith("backend_corrupt", () => migrateCredentials(text, target), ...words);
  assertEquals(await Array.fromAsync(target.list()), []);
  const source = memory({ a: entry({ refresh_token: "fixture-other" }) });
  const move = () => migrateCredentials(source, text, { deleteSource: true });
  await rejectsWith("backend_corrupt", move, ...words);
  assertEquals([good.get("a"), source.get("a") !== undefined], [entry(), true]);
});

Deno.test("migrateCredentials goes from file to KV and back without a change", async () => {
  await using folder = await tempDir();
  const file = new FileCredentialsBackend({ path: `${folder.path}/credentials.json` });
  const kv = new KvCredentialsBackend();
  const value = entry({ id_token: null, x_extra: { größe: [1, null] } });
  await file.put("a", value);
  await migrateCredentials(file, kv, { deleteSource: true });
  await migrateCredentials(kv, file, { deleteSource: true });
  assertEquals(file.get("a"), value);
  assertEquals(await Array.fromAsync(kv.list()), []);
  await kv.close();
});

Deno.test("migrateCredentials shows no row that a backend throws, and no control characters", async () => {
  const row = JSON.stringify(entry({ access_token: SECRETS.access }));
  const fail = () => {
    throw new SyntaxError(`Unexpected token in ${row}`);
  };
  const good = () => memory({ "a\x1b[31m": entry({ access_token: SECRETS.access }) });
  const list = () => good().list();
  const cases: [Partial<OidcCredentialsBackend>, Partial<OidcCredentialsBackend>][] = [
    [{ list, get: fail }, {}],
    [{ list, delete: fail }, {}],
    [{ list: fail }, {}],
    [{ list, withLock: fail }, {}],
    [{ list }, { get: fail }],
    [{ list }, { put: fail }],
  ];
  for (const [source, target] of cases) {
    const run = () =>
      migrateCredentials(altered(good(), source), altered(memory({}), target), {
        deleteSource: true,
      });
    await rejectsWith("backend_unavailable", run, "threw SyntaxError");
  }
  const forgetful = altered(memory({}), { get: () => undefined });
  const { message } = await rejectsWith(
    "backend_unproven",
    () => migrateCredentials(good(), forgetful),
  );
  assertEquals(message.includes("\x1b"), false);
});
