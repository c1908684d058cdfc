// Which copy of an entry counts where several stores have one.
import { assert, assertEquals } from "@std/assert";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { fault, keyless, trio } from "./fallback_world.ts";

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
