// Which store takes an entry, and which faults pass it on to the next one.
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { fault, keyless, trio } from "./fallback_world.ts";

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
    assertEquals(a.calls.filter((call) => call === "delete").length, 1); // one wait is enough
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

Deno.test("all stores are asked before one is waited for, whatever kind of answer they give", async () => {
  const { a, b, c, backend } = trio();
  await backend.put(KEY, entry());
  const stored = a.rows.get(KEY);
  const [slow, slower] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  a.get = () => (a.calls.push("get"), slow.promise as never);
  b.get = () => (b.calls.push("get"), slower.promise as never);
  c.get = () => {
    c.calls.push("get");
    const answer = Promise.resolve(stored);
    return { then: answer.then.bind(answer) } as never; // a promise of another library
  };
  for (const { calls } of [a, b, c]) calls.length = 0;
  const coming = backend.get(KEY);
  assertEquals([a.calls, b.calls, c.calls], [["get"], ["get"], ["get"]]);
  slower.resolve(undefined);
  slow.resolve(undefined);
  assertEquals(await coming, entry());
});

Deno.test("stores that fail later are one error, and none of them an unhandled one", async () => {
  const { a, b, c, backend } = trio();
  const failures = [a, b, c].map((store, index) => {
    const failure = Promise.withResolvers<never>();
    store.get = () => failure.promise as never;
    return () => failure.reject(fault(index === 1 ? "backend_denied" : "backend_unavailable"));
  });
  const coming = backend.get(KEY);
  for (const fail of failures.toReversed()) fail();
  await rejectsWith("backend_denied", () => coming);
});
