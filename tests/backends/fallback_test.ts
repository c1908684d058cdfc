import { assert, assertEquals, assertRejects } from "@std/assert";
import { clearOidcCredentials } from "@validmind/auth";
import { probeKey } from "../../backends/common/marks.ts";
import type { CredentialsBackendErrorCode } from "../../backends/credentials_backend_error.ts";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { storeError } from "../support/error_parts.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { testKey } from "./encrypted/encryption_keys.ts";
import { trio } from "./fallback/fallback_world.ts";
import { isReplaced, minimal } from "./stores.ts";

const AWAY: CredentialsBackendErrorCode[] = ["backend_unavailable", "backend_timeout"];
const FAULTS: CredentialsBackendErrorCode[] = [
  "permission_required",
  "backend_denied",
  "backend_auth_failed",
  "backend_corrupt",
  "backend_locked",
  "keychain_locked",
  "decryption_failed",
];

Deno.test("fallback: an entry goes to the first store, and no other is asked for it", async () => {
  const { a, b, c, backend, events } = trio();
  await backend.put(KEY, entry());
  for (const { calls } of [a, b, c]) calls.length = 0;
  assertEquals(await backend.get(KEY), entry());
  assertEquals([a.calls, b.calls, c.calls, events], [["get"], [], [], []]);
  assertEquals([a, b, c].map(({ rows }) => rows.get(KEY)), [entry(), undefined, undefined]);
});

for (const code of AWAY) {
  Deno.test(`fallback: ${code} at the first use passes a store over for this process, told once`, async () => {
    const { a, b, backend, open, events } = trio();
    a.faults.all = code;
    assertEquals(await backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    assertEquals(await backend.get(KEY), entry());
    assertEquals(a.calls, ["get"]);
    assertEquals(b.rows.get(KEY), entry());
    assertEquals(events, [`a (${code}) is passed over: this process uses b, else c.`]);
    a.faults = {};
    a.rows.set(KEY, entry({ access_token: "another" }));
    assertEquals(await backend.get(KEY), entry()); // the choice stays
    assertEquals((await open().get(KEY))?.access_token, "another"); // and another process has its own
  });

  Deno.test(`fallback: ${code} of a store that has answered is an error`, async () => {
    const { a, b, backend } = trio();
    await backend.put(KEY, entry());
    a.faults.all = code;
    for (const run of [() => backend.get(KEY), () => backend.put(KEY, entry())]) {
      await rejectsWith(code, run);
    }
    await rejectsWith(code, () => backend.delete(KEY));
    assertEquals([b.rows.get(KEY), b.calls.includes("put")], [undefined, false]);
  });

  Deno.test(`fallback: ${code} of all stores is an error that names them, and they are tried again`, async () => {
    const { a, b, c, backend, events } = trio();
    for (const store of [a, b, c]) store.faults.all = code;
    await Promise.all(
      [1, 2].map(() => rejectsWith(code, () => backend.get(KEY), `a (${code}), b (${code}), c`)),
    );
    for (const store of [a, b, c]) store.faults = {};
    a.rows.set(KEY, entry());
    assertEquals([await backend.get(KEY), events], [entry(), []]);
  });

  Deno.test(`fallback: a sign-out that reaches no store is ${code}`, async () => {
    const { a, b, c, open, events } = trio();
    for (const store of [a, b, c]) store.faults.all = code;
    const session = { issuer: "https://login.example.com", clientId: "my-app" };
    const clear = () => clearOidcCredentials({ ...session, credentialsBackend: open() });
    await rejectsWith(code, clear, "Cannot reach");
    assertEquals(new Set(events).size, 3);
  });
}

for (const code of FAULTS) {
  Deno.test(`fallback: ${code} is an error, whatever the other stores have`, async () => {
    const { a, b, backend, events } = trio();
    b.rows.set(KEY, entry());
    a.faults.all = code;
    await rejectsWith(code, () => backend.get(KEY));
    await rejectsWith(code, () => backend.put(KEY, entry()));
    await rejectsWith(code, () => backend.withLock!(KEY, () => Promise.resolve()));
    await rejectsWith(code, () => Array.fromAsync(backend.list!()));
    assert(!b.calls.includes("put"));
    await rejectsWith(code, () => backend.delete(KEY));
    assertEquals([b.rows.get(KEY), events], [undefined, []]); // removed where it could be
  });
}

for (const code of ["backend_too_large", "backend_full", "backend_timeout"] as const) {
  Deno.test(`fallback: ${code} of a write is an error, and no other store takes the entry`, async () => {
    const { a, b, backend, events } = trio();
    a.faults.put = code;
    await rejectsWith(code, () => backend.put(KEY, entry()));
    assertEquals([b.calls.includes("put"), events], [false, []]);
  });
}

Deno.test("fallback: an error without a code is passed on, and nothing falls back", async () => {
  const { a, b, backend } = trio();
  a.get = () => {
    throw new TypeError("odd");
  };
  await assertRejects(() => backend.get(KEY), TypeError);
  await assertRejects(() => backend.put(KEY, entry()), TypeError);
  assert(!b.calls.includes("put"));
});

Deno.test("fallback: an entry goes back to the store that has it, under the lock of that store", async () => {
  const { a, b, backend } = trio();
  b.rows.set(KEY, entry());
  await backend.withLock!(KEY, async () => {
    assertEquals([a.calls.includes("withLock"), b.calls.includes("withLock")], [false, true]);
    await backend.put(KEY, entry({ access_token: "next" }), { isReplaced });
  });
  assertEquals([a.rows.get(KEY), b.rows.get(KEY)?.access_token], [undefined, "next"]);
});

Deno.test("fallback: a probe goes to the store of the entry that is locked, and leaves nothing", async () => {
  const { a, b, c, backend, events } = trio();
  b.rows.set(KEY, entry());
  c.faults.all = "backend_unavailable"; // nothing asks it
  const probe = await probeKey(KEY);
  await backend.withLock!(KEY, async () => {
    await new Promise((resolve) => setTimeout(resolve));
    await backend.put(probe, small("probe"));
    assertEquals([a.rows.get(probe), b.rows.get(probe)?.client_id], [undefined, "probe"]);
    assertEquals((await backend.get(probe))?.client_id, "probe");
    await backend.delete(probe);
    assertEquals(await backend.get(probe), undefined);
  });
  assertEquals([[...b.rows.keys()], events], [[KEY], []]);
});

Deno.test("fallback: a store without a lock has one in this process, and its own probe", async () => {
  const rows = new MemoryCredentialsBackend();
  const { a } = trio();
  const backend = new FallbackCredentialsBackend({ backends: [a, minimal(rows)] });
  rows.put(KEY, entry());
  const probe = await probeKey(KEY);
  const inside: unknown[] = [];
  const hold = async () => {
    inside.push("in");
    await backend.put(probe, small("probe"));
    inside.push(rows.get(probe)?.client_id);
  };
  await Promise.all([1, 2].map(() => backend.withLock!(KEY, hold)));
  assertEquals(inside, ["in", "probe", "in", "probe"]);
});

Deno.test("fallback: below an encryption a probe asks no store that was passed over", async () => {
  const { a, backend, events } = trio();
  a.faults.all = "backend_unavailable";
  await backend.get(KEY);
  events.length = 0;
  const whole = new EncryptedCredentialsBackend({ backend, key: await testKey() });
  await whole.delete(await probeKey(KEY));
  assertEquals(events, []);
});

Deno.test("fallback: below an encryption a probe goes to the store of the entry, too", async () => {
  const { a, b, backend } = trio();
  const key = await testKey();
  await new EncryptedCredentialsBackend({ backend: b, key }).put(KEY, entry());
  const whole = new EncryptedCredentialsBackend({ backend, key });
  const probe = await probeKey(KEY);
  await whole.withLock!(KEY, async () => void await whole.put(probe, small("probe")));
  assertEquals([a.rows.size, [...b.rows.keys()]], [
    0,
    [KEY, probe].map((one) => `encrypted|${one}`),
  ]);
});

Deno.test("fallback: a sign-out goes over all stores, and says each time which it missed", async () => {
  const { a, b, c, backend, events } = trio();
  a.rows.set(KEY, entry({ access_token: "left" }));
  a.faults.all = "backend_unavailable";
  b.faults.all = "backend_timeout";
  c.rows.set(KEY, entry());
  const missed = [["a", "backend_unavailable"], ["b", "backend_timeout"]].map(([name, code]) =>
    `${name} could not be reached (${code}): if it has the entry, that stays. Sign out again ` +
    "once it answers."
  );
  for (const isPassedOver of [false, true]) {
    if (isPassedOver) { for (const key of [KEY, OTHER]) await backend.get(key); }
    events.length = 0;
    for (const key of [KEY, await probeKey(KEY)]) await backend.delete(key);
    assertEquals(events, missed);
  }
  assertEquals(c.rows.get(KEY), undefined);
  a.faults = {};
  await backend.delete(KEY); // as the words advise
  assertEquals(a.rows.get(KEY), undefined);
});

Deno.test("fallback: list() gives each key once, and leaves out a store that is passed over", async () => {
  const { a, b, c, backend, events } = trio();
  for (const { rows } of [a, b]) rows.set(KEY, entry());
  b.rows.set(OTHER, entry());
  c.faults.all = "backend_timeout";
  assertEquals((await Array.fromAsync(backend.list!())).toSorted(), [KEY, OTHER].toSorted());
  assertEquals(events, ["c (backend_timeout) is passed over: this process uses a, else b."]);
});

Deno.test("deleteAll() and close() reach every store, also after one that fails", async () => {
  const stores = [1, 2, 3].map(() => {
    const calls: string[] = [];
    const run = (name: string) => () => {
      calls.push(name);
      if (store === stores[0]) throw storeError("backend_denied");
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

Deno.test("one lock is enough, what all have is joined, and the least of them lasts", () => {
  const memory = new MemoryCredentialsBackend();
  const [x, y] = ["x", "y"].map((name) =>
    new FileCredentialsBackend({ path: `/data/${name}.json` })
  );
  const make = (...backends: OidcCredentialsBackend[]) =>
    new FallbackCredentialsBackend({ backends });
  const mixed = make(memory, minimal());
  assertEquals([mixed.withLock !== undefined, mixed.list], [true, undefined]);
  const needs = [...x!.requiredPermissions(), ...y!.requiredPermissions()];
  assertEquals([make(x!, y!).requiredPermissions!(), make(x!, y!).persistent], [needs, true]);
  assertEquals(make(x!, minimal()).persistent, undefined);
  assertEquals(make(x!, memory, minimal()).persistent, false);
  assertEquals(make(x!, memory).location, "/data/x.json, else the memory of this process");
});
