import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CredentialsBackendError,
  MemoryCredentialsBackend,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { CONFORMANCE_CHECKS } from "../../../backends/testing/conformance_checks.ts";

/** A memory backend in which some methods are wrong. */
type Fault = (good: MemoryCredentialsBackend) => Partial<OidcCredentialsBackend>;

/** A wrong backend, the check that finds it, and what that says. */
const FAULTS: [name: string, check: string, says: string, fault: Fault][] = [
  [
    "that invents entries",
    "gives undefined without",
    "gave something",
    () => ({ get: () => ({ issuer: "", client_id: "", access_token: "" }) }),
  ],
  ["that stores later", "gives back the whole entry", "after put() resolved", (good) => {
    let late = () => {};
    return {
      get: (key) => {
        const value = good.get(key);
        late();
        return value;
      },
      put: (key, value) => void (late = () => good.put(key, value)),
    };
  }],
  ["with a fixed schema", "gives back the whole entry", "get() gave something else", (good) => ({
    put: (key, { issuer, client_id, access_token, refresh_token, expires_at }) =>
      good.put(key, { issuer, client_id, access_token, refresh_token, expires_at }),
  })],
  [
    "that merges",
    "replaces an entry whole",
    "left parts of the old",
    (good) => ({ put: (key, value) => good.put(key, { ...good.get(key), ...value }) }),
  ],
  [
    "that keeps the caller's object",
    "replaces an entry whole",
    "later change reached the store",
    () => {
      const rows = new Map<string, OidcCredentials>();
      return { get: (key) => rows.get(key), put: (key, value) => void rows.set(key, value) };
    },
  ],
  [
    "whose delete does nothing",
    "gives undefined without",
    "still gave the entry",
    () => ({ delete: () => {} }),
  ],
  ["whose delete fails for a missing key", "gives undefined without", "404", (good) => ({
    delete: async (key) => {
      await Promise.resolve();
      if (!good.get(key)) throw new Error("404");
      good.delete(key);
    },
  })],
  ["with one slot", "keeps unicode", "was mixed up", (good) => ({
    get: () => good.get("slot"),
    put: (_, value) => good.put("slot", value),
    delete: () => good.delete("slot"),
  })],
  ["that folds case", "keeps unicode", "was mixed up", (good) => ({
    get: (key) => good.get(key.toLowerCase().slice(49)),
    put: (key, value) => good.put(key.toLowerCase().slice(49), value),
  })],
  ["that cuts long entries", "holds entries of any size", "came back different", (good) => ({
    put: (key, value) =>
      good.put(key, { ...value, access_token: value.access_token.slice(0, 4096) }),
  })],
  [
    "that refuses long entries without a code",
    "holds entries of any size",
    'not "backend_too_large"',
    (good) => ({
      put: (key, value) => {
        if (value.access_token.length > 4096) throw new Error("value too long");
        good.put(key, value);
      },
    }),
  ],
  ["that reads, waits and writes", "loses nothing to writers", "does not see one", () => {
    let rows: Record<string, OidcCredentials> = {};
    return {
      get: (key) => rows[key],
      put: async (key, value) => {
        const read = { ...rows };
        await Promise.resolve();
        rows = { ...read, [key]: value };
      },
      delete: (key) => void delete rows[key],
    };
  }],
  [
    "whose handles do not share a store",
    "loses nothing to writers",
    "does not see one",
    () => ({ persistent: true }),
  ],
  ["that lists a key twice", "lists the keys", "gave a key twice", (good) => ({
    list: async function* () {
      yield* good.list();
      yield* good.list();
    },
  })],
  ["that lists some of its keys", "lists the keys", "left out a key", (good) => ({
    list: async function* () {
      for await (const key of good.list()) if (!key.includes("größe")) yield key;
    },
  })],
  ["that lists what was deleted", "lists the keys", "was deleted", (good) => {
    const seen = new Set<string>();
    return {
      put: (key, value) => (seen.add(key), good.put(key, value)),
      list: async function* () {
        yield* seen;
      },
    };
  }],
  [
    "whose lock is none",
    "lets one holder of a lock run",
    "ran at the same time",
    () => ({ withLock: (_, fn) => fn() }),
  ],
  [
    "whose lock is one for all keys",
    "lets holders of different keys run",
    "held up another key",
    (good) => ({ withLock: (_, fn, options) => good.withLock("all", fn, options) }),
  ],
  ["whose lock outlives a fault", "serves under its own lock", "still locked", () => {
    let isLocked = false;
    return {
      withLock: async (_, fn) => {
        if (isLocked) throw new Error("still locked");
        isLocked = true;
        const value = await fn();
        isLocked = false;
        return value;
      },
    };
  }],
  [
    "whose lock does not listen",
    "ends the wait for a lock by its signal",
    "did not end with the signal's reason",
    (good) => ({ withLock: (key, fn) => good.withLock(key, fn) }),
  ],
  ["that shows its rows", "shows no secret when it is printed", "shows a token", () => {
    const rows: Record<string, OidcCredentials> = {};
    return {
      rows,
      get: (key: string) => structuredClone(rows[key]),
      put: (key: string, value: OidcCredentials) => void (rows[key] = value),
      delete: (key: string) => void delete rows[key],
    };
  }],
  [
    "that takes unreadable for absent",
    "does not take unreadable for absent",
    "it must throw",
    () => ({ get: () => undefined }),
  ],
  ["whose error quotes the store", "does not take unreadable for absent", "shows a token", () => ({
    get: () => {
      throw new Error("unexpected token in conformance-secret-access");
    },
  })],
];

for (const [name, check, says, fault] of FAULTS) {
  Deno.test(`the conformance suite finds a backend ${name}`, async () => {
    const good = new MemoryCredentialsBackend();
    const backend = Object.assign(Object.create(good), bind(good), fault(good));
    const error = await assertRejects(() => runCheck(check, backend), Error);
    assert(error.message.includes(says), error.message);
    assert(!error.message.includes("conformance-secret-access") || says === "shows a token");
  });
}

Deno.test("the conformance suite's faults cover every check but those that need the real store", () => {
  const found = new Set(FAULTS.map(([, check]) => check));
  const missed = CONFORMANCE_CHECKS.filter(({ name }) =>
    ![...found].some((start) => name.startsWith(start))
  );
  assertEquals(missed.map(({ name }) => name), [
    "loses nothing to several processes, nor its lock to one that is killed",
    "works with the permissions that it declares",
  ]);
});

Deno.test("the conformance suite accepts a typed refusal of large entries", async () => {
  const good = new MemoryCredentialsBackend();
  const backend = Object.assign(Object.create(good), bind(good), {
    put: (key: string, value: OidcCredentials) => {
      if (value.access_token.length > 4096) {
        throw new CredentialsBackendError("backend_too_large", "Cannot store: too large. Shorten.");
      }
      good.put(key, value);
    },
  });
  await runCheck("holds entries of any size", backend);
});

async function runCheck(start: string, backend: OidcCredentialsBackend): Promise<void> {
  const check = CONFORMANCE_CHECKS.find(({ name }) => name.startsWith(start));
  assert(check !== undefined, `no check "${start}"`);
  const key = (suffix = "") => `conformance|${crypto.randomUUID()}${suffix}`;
  const open = () => Promise.resolve(backend.persistent ? new MemoryCredentialsBackend() : backend);
  await check.run({ backend, name: key(), open, key, patienceMs: 50 });
}

/** Methods that work on the good backend, whose private fields an heir does not have. */
function bind(good: MemoryCredentialsBackend): Partial<OidcCredentialsBackend> {
  return {
    get: (key) => good.get(key),
    put: (key, value) => good.put(key, value),
    delete: (key) => good.delete(key),
    list: () => good.list(),
    withLock: (key, fn, options) => good.withLock(key, fn, options),
  };
}
