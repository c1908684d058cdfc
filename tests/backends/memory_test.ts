import { MemoryCredentialsBackend, NullCredentialsBackend } from "../../backends/memory.ts";
import { AWKWARD_KEYS, entry, KEY, OTHER, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";

const permissions = "none";

Deno.test({
  name: "memory gives back what was put, replaces it whole, and deletes it",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    assertEquals(backend.get(KEY), undefined);
    backend.delete(KEY);
    backend.put(KEY, entry({ x_old: true }));
    backend.put(KEY, entry());
    backend.put(OTHER, entry({ client_id: "other-app" }));
    assertEquals(backend.get(KEY), entry());
    assertEquals((await Array.fromAsync(backend.list())).sort(), [KEY, OTHER]);
    backend.delete(KEY);
    assertEquals(backend.get(KEY), undefined);
    assertEquals(backend.get(OTHER), entry({ client_id: "other-app" }));
    backend.deleteAll();
    assertEquals(await Array.fromAsync(backend.list()), []);
  },
});

Deno.test({
  name: "memory copies an entry on its way in and on its way out",
  permissions,
  fn() {
    const backend = new MemoryCredentialsBackend();
    const mine = entry({ x_list: [1] });
    backend.put(KEY, mine);
    mine.access_token = "changed";
    (mine.x_list as number[]).push(2);
    const out = backend.get(KEY);
    assertEquals(out, entry({ x_list: [1] }));
    if (out) out.access_token = "changed";
    assertEquals(backend.get(KEY)?.access_token, SECRETS.access);
  },
});

Deno.test({
  name: "memory takes awkward keys, each apart from the others",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    for (const key of AWKWARD_KEYS) assertEquals(backend.get(key), undefined);
    for (const key of AWKWARD_KEYS) backend.put(key, entry({ client_id: key }));
    for (const key of AWKWARD_KEYS) assertEquals(backend.get(key)?.client_id, key);
    assertEquals(await Array.fromAsync(backend.list()), AWKWARD_KEYS);
  },
});

Deno.test({
  name: "entries may be added and deleted while memory lists its keys",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    for (const key of [KEY, OTHER]) backend.put(key, entry());
    const seen: string[] = [];
    for await (const key of backend.list()) {
      seen.push(key);
      backend.delete(key);
      backend.put("late", entry());
    }
    assertEquals(seen, [KEY, OTHER]);
  },
});

Deno.test({
  name: "two memory backends are two stores, and neither lasts",
  permissions,
  fn() {
    const [one, other] = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
    one.put(KEY, entry());
    assertEquals(other.get(KEY), undefined);
    assertEquals([one.persistent, one.location], [false, "the memory of this process"]);
  },
});

Deno.test({
  name: "NullCredentialsBackend is another name of memory",
  permissions,
  fn: () => assertStrictEquals(NullCredentialsBackend, MemoryCredentialsBackend),
});

Deno.test({
  name: "memory takes no option but the lock's time",
  permissions,
  async fn() {
    const make = (options: unknown) => () => new MemoryCredentialsBackend(options as object);
    make({})();
    await rejectsWith("invalid_options", make({ path: "/x" }), `"path"`, "It takes: lockTimeoutMs");
    await rejectsWith("invalid_options", make({ lockTimeoutMs: "1" }), "lockTimeoutMs");
    await rejectsWith("invalid_options", make(null), "not an object");
    await rejectsWith("invalid_options", make("path"), "not an object");
  },
});

Deno.test({
  name: "a memory lock runs its holders one by one, in the order in which they came",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const seen: string[] = [];
    const hold = (name: string) =>
      backend.withLock(KEY, async () => {
        seen.push(`${name} in`);
        await Promise.resolve();
        await Promise.resolve();
        seen.push(`${name} out`);
        return name;
      });
    assertEquals(await Promise.all(["a", "b", "c"].map(hold)), ["a", "b", "c"]);
    assertEquals(seen, ["a in", "a out", "b in", "b out", "c in", "c out"]);
  },
});

Deno.test({
  name: "a memory lock holds up neither another key nor another backend",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const run = () => Promise.resolve("done");
    const value = await backend.withLock(KEY, async () => {
      await new MemoryCredentialsBackend().withLock(KEY, run);
      return await backend.withLock(OTHER, run);
    });
    assertEquals(value, "done");
  },
});

Deno.test({
  name: "a memory lock is released when its holder throws, and passes the error on",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const fault = new Error("the holder's own");
    const failing = backend.withLock(KEY, () => Promise.reject(fault));
    const next = backend.withLock(KEY, () => Promise.resolve("next"));
    assertStrictEquals(await assertRejects(() => failing), fault);
    assertEquals(await next, "next");
  },
});

Deno.test({
  name: "an abort ends one wait with its reason, and those behind it keep their place",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const gate = Promise.withResolvers<void>();
    const abort = new AbortController();
    const reason = new Error("enough");
    const seen: string[] = [];
    const hold = (name: string, signal?: AbortSignal) =>
      backend.withLock(KEY, () => Promise.resolve(void seen.push(name)), signal ? { signal } : {});
    const first = backend.withLock(KEY, () => gate.promise);
    const second = hold("second", abort.signal);
    const third = hold("third");
    abort.abort(reason);
    assertStrictEquals(await assertRejects(() => second), reason);
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(seen, []);
    gate.resolve();
    await Promise.all([first, third]);
    assertEquals(seen, ["third"]);
  },
});

Deno.test({
  name: "a signal aborted before keeps the function from running, and takes no place",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const signal = AbortSignal.abort(new Error("too late"));
    let hasRun = false;
    const wait = () => backend.withLock(KEY, () => Promise.resolve(hasRun = true), { signal });
    assertStrictEquals(await assertRejects(wait), signal.reason);
    assertEquals(hasRun, false);
    assertEquals(await backend.withLock(KEY, () => Promise.resolve("free")), "free");
  },
});

Deno.test({
  name: "put and get work under the memory lock, and an abort then does not interrupt",
  permissions,
  async fn() {
    const backend = new MemoryCredentialsBackend();
    const abort = new AbortController();
    const value = await backend.withLock(KEY, async () => {
      abort.abort();
      await Promise.resolve();
      backend.put(KEY, entry());
      return backend.get(KEY);
    }, { signal: abort.signal });
    assertEquals(value, entry());
  },
});

Deno.test({
  name: "a lock in memory that is not had in time is backend_locked, and free afterwards",
  permissions: "none",
  async fn() {
    const backend = new MemoryCredentialsBackend({ lockTimeoutMs: 5 });
    await backend.withLock("k", async () => {
      const waiting = () => backend.withLock("k", () => Promise.resolve());
      await rejectsWith("backend_locked", waiting, "within 5 ms");
    });
    await backend.withLock("k", () => Promise.resolve());
  },
});
