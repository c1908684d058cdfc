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

const FAULTS: Record<string, { fault: Fault; check: string; says: string }> = {
  "that invents entries": {
    fault: () => ({ get: () => ({ issuer: "", client_id: "", access_token: "" }) }),
    check: "gives undefined without",
    says: "gave something",
  },
  "that stores later": {
    fault: (good) => {
      let late = () => {};
      return {
        get: (key) => {
          const value = good.get(key);
          late();
          return value;
        },
        put: (key, value) => void (late = () => good.put(key, value)),
      };
    },
    check: "gives back the whole entry",
    says: "after put() resolved",
  },
  "with a fixed schema": {
    fault: (good) => ({
      put: (key, { issuer, client_id, access_token, refresh_token, expires_at }) =>
        good.put(key, { issuer, client_id, access_token, refresh_token, expires_at }),
    }),
    check: "gives back the whole entry",
    says: "get() gave something else",
  },
  "that merges": {
    fault: (good) => ({ put: (key, value) => good.put(key, { ...good.get(key), ...value }) }),
    check: "replaces an entry whole",
    says: "left parts of the old one",
  },
  "that keeps the caller's object": {
    fault: () => {
      const rows = new Map<string, OidcCredentials>();
      return { get: (key) => rows.get(key), put: (key, value) => void rows.set(key, value) };
    },
    check: "stores a copy",
    says: "later change reached the store",
  },
  "whose delete does nothing": {
    fault: () => ({ delete: () => {} }),
    check: "gives undefined without",
    says: "still gave the entry",
  },
  "whose delete fails for a missing key": {
    fault: (good) => ({
      delete: (key) => {
        if (!good.get(key)) throw new Error("404");
        good.delete(key);
      },
    }),
    check: "gives undefined without",
    says: "404",
  },
  "with one slot": {
    fault: (good) => ({
      get: () => good.get("slot"),
      put: (_, value) => good.put("slot", value),
      delete: () => good.delete("slot"),
    }),
    check: "keeps unicode",
    says: "was mixed up",
  },
  "that folds case": {
    fault: (good) => ({
      get: (key) => good.get(key.toLowerCase().slice(49)),
      put: (key, value) => good.put(key.toLowerCase().slice(49), value),
    }),
    check: "keeps unicode",
    says: "was mixed up",
  },
  "that cuts long entries": {
    fault: (good) => ({
      put: (key, value) =>
        good.put(key, { ...value, access_token: value.access_token.slice(0, 4096) }),
    }),
    check: "holds entries of any size",
    says: "came back different",
  },
  "that refuses long entries without a code": {
    fault: (good) => ({
      put: (key, value) => {
        if (value.access_token.length > 4096) throw new Error("value too long");
        good.put(key, value);
      },
    }),
    check: "holds entries of any size",
    says: 'not "backend_too_large"',
  },
  "that reads, waits and writes": {
    fault: () => {
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
    },
    check: "loses nothing to writers",
    says: "does not see one",
  },
  "whose handles do not share a store": {
    fault: () => ({ persistent: true }),
    check: "loses nothing to writers",
    says: "does not see one",
  },
  "that lists what was deleted": {
    fault: (good) => {
      const seen = new Set<string>();
      return {
        put: (key, value) => (seen.add(key), good.put(key, value)),
        list: async function* () {
          yield* seen;
        },
      };
    },
    check: "lists the keys",
    says: "was deleted",
  },
  "whose lock is none": {
    fault: () => ({ withLock: (_, fn) => fn() }),
    check: "lets one holder of a lock run",
    says: "ran at the same time",
  },
  "whose lock is one for all keys": {
    fault: (good) => ({ withLock: (_, fn, options) => good.withLock("all", fn, options) }),
    check: "lets holders of different keys run",
    says: "held up another key",
  },
  "whose lock outlives a fault": {
    fault: () => {
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
    },
    check: "releases a lock when its holder throws",
    says: "still locked",
  },
  "whose lock does not listen": {
    fault: (good) => ({ withLock: (key, fn) => good.withLock(key, fn) }),
    check: "ends the wait for a lock by its signal",
    says: "did not end with the signal's reason",
  },
  "that shows its rows": {
    fault: () => {
      const rows: Record<string, OidcCredentials> = {};
      return {
        rows,
        get: (key: string) => structuredClone(rows[key]),
        put: (key: string, value: OidcCredentials) => void (rows[key] = value),
        delete: (key: string) => void delete rows[key],
      };
    },
    check: "shows no secret when it is printed",
    says: "shows a token",
  },
  "that takes unreadable for absent": {
    fault: () => ({ get: () => undefined }),
    check: "does not take unreadable for absent",
    says: "it must throw",
  },
  "whose error quotes the store": {
    fault: () => ({
      get: () => {
        throw new Error("unexpected token in conformance-secret-access");
      },
    }),
    check: "does not take unreadable for absent",
    says: "shows a token",
  },
};

for (const [name, { fault, check, says }] of Object.entries(FAULTS)) {
  Deno.test(`the conformance suite finds a backend ${name}`, async () => {
    const good = new MemoryCredentialsBackend();
    const backend = Object.assign(Object.create(good), bind(good), fault(good));
    const error = await assertRejects(() => runCheck(check, backend), Error);
    assert(error.message.includes(says), error.message);
    assert(!error.message.includes("conformance-secret-access") || says === "shows a token");
  });
}

Deno.test("the conformance suite's faults cover every check but those that need the real store", () => {
  const found = new Set(Object.values(FAULTS).map(({ check }) => check));
  const missed = CONFORMANCE_CHECKS.filter(({ name }) =>
    ![...found].some((start) => name.startsWith(start))
  );
  assertEquals(missed.map(({ name }) => name), [
    "reads and writes under its own lock, if it locks",
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
