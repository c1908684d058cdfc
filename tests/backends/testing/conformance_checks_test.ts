import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  MemoryCredentialsBackend,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { wrapBackend } from "../../../backends/common/wrap_backend.ts";
import { testCredentialsBackend } from "../../../backends/testing.ts";
import { CONFORMANCE_CHECKS } from "../../../backends/testing/conformance_checks.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { replace } from "../../support/replace.ts";
import { storeError } from "../../support/error_parts.ts";

/** A memory backend in which some methods are wrong. */
type Fault = (good: MemoryCredentialsBackend) => Partial<OidcCredentialsBackend>;

function unreadable(): never {
  throw new Error("the store cannot be read");
}

/** A memory backend that keeps entries by other names than their keys. */
const named = (nameOf: (key: string) => string): Fault => (good) => ({
  get: (key) => good.get(nameOf(key)),
  put: (key, value) => good.put(nameOf(key), value),
  delete: (key) => good.delete(nameOf(key)),
});

/** Wrong backends by the check that finds them, and what it says. */
const FAULTS: Record<string, [name: string, says: string, fault: Fault][]> = {
  "gives undefined without": [
    [
      "that invents entries",
      "gave something",
      () => ({ get: () => ({ issuer: "", client_id: "", access_token: "" }) }),
    ],
    ["whose delete does nothing", "still gave the entry", () => ({ delete: () => {} })],
    ["whose delete fails for a missing key", "404", (good) => ({
      delete: async (key) => {
        await Promise.resolve();
        if (!good.get(key)) throw new Error("404");
        good.delete(key);
      },
    })],
  ],
  "gives back the whole entry": [["that shows its rows", "shows a token", (good) => ({
    put: (key, value) => {
      Object.assign(good, { [key]: value });
      good.put(key, value);
    },
  })], ["that stores later", "after put() resolved", (good) => {
    let late = () => {};
    return {
      get: (key) => {
        const value = good.get(key);
        late();
        return value;
      },
      put: (key, value) => void (late = () => good.put(key, value)),
    };
  }], ["that drops an entry with its access token", "get() gave something else", (good) => ({
    get: (key) => {
      const row = good.get(key);
      return row && Date.parse(row.expires_at!) > Date.now() ? row : undefined;
    },
  })], ["that drops what is falsy", "get() gave something else", (good) => ({
    put: (key, value) => {
      const kept = Object.entries(value).filter(([, one]) => one || one === null);
      good.put(key, Object.fromEntries(kept) as OidcCredentials);
    },
  })], ["with a fixed schema", "get() gave something else", (good) => ({
    put: (key, { issuer, client_id, access_token, refresh_token, expires_at }) =>
      good.put(key, { issuer, client_id, access_token, refresh_token, expires_at }),
  })]],
  "replaces an entry whole": [[
    "that merges",
    "left parts of the old",
    (good) => ({ put: (key, value) => good.put(key, { ...good.get(key), ...value }) }),
  ], ["that keeps the caller's object", "later change reached the store", () => {
    const rows = new Map<string, OidcCredentials>();
    return { get: (key) => rows.get(key), put: (key, value) => void rows.set(key, value) };
  }], ["that hands out the stored object", "a reader's change reached the store", () => {
    const rows = new Map<string, OidcCredentials>();
    return { get: (key) => rows.get(key), put: (key, value) => void rows.set(key, { ...value }) };
  }]],
  "stores as isReplaced says": [
    ["that stores against the answer of isReplaced", "did not give false", (good) => ({
      put: (key, value, options) => {
        options?.isReplaced?.(good.get(key));
        good.put(key, value);
      },
    })],
    ["that says false and stores", "stored against the answer", (good) => ({
      put: (key, value, options) => {
        const isWanted = options?.isReplaced?.(good.get(key));
        good.put(key, value);
        return isWanted;
      },
    })],
    ["that stores nothing where isReplaced is given", "with isReplaced stored nothing", (good) => ({
      put: (key, value, options) => options?.isReplaced ? undefined : good.put(key, value),
    })],
    ["that asks isReplaced and never stores then", "where isReplaced agreed", (good) => ({
      put: (key, value, options) => {
        if (options?.isReplaced === undefined) return good.put(key, value);
        return options.isReplaced(good.get(key)) && undefined as never;
      },
    })],
    ["that compares with another entry", "something else than the present", (good) => ({
      put: (key, value, options) => {
        const isRefused = options?.isReplaced?.(value) === false;
        return isRefused ? false : good.put(key, value);
      },
    })],
    ["that gives false for a plain put", "without isReplaced", (good) => ({
      put: (key, value) => {
        good.put(key, value);
        return false;
      },
    })],
  ],
  "keeps the entries of two people apart": [
    ["whose identity is of everybody", "one storeId", () => ({ storeId: "all" })],
    ["that gives one person's entry to another", "another one's entry", () => ({})],
  ],
  "removes every entry by deleteAll": [
    ["whose deleteAll does nothing", "left an entry", () => ({ deleteAll: () => {} })],
  ],
  "keeps unicode": [
    ["that folds case", "was mixed up", named((key) => key.toLowerCase())],
    ["that folds by NFC", "was mixed up", named((key) => key.normalize())],
    ["that cuts long keys", "was mixed up", named((key) => key.slice(0, 255))],
    ["that knows Latin-1 alone", "was mixed up", named((key) => key.replace(/[^\0-\xff]/g, "?"))],
    ["that deletes all keys that begin alike", "was mixed up", (good) => ({
      delete: async (start) => {
        for await (const key of good.list()) if (key.startsWith(start)) good.delete(key);
      },
    })],
  ],
  "holds entries of any size": [["that cuts long entries", "came back different", (good) => ({
    put: (key, value) =>
      good.put(key, { ...value, access_token: value.access_token.slice(0, 4096) }),
  })], ["that refuses long entries without a code", 'not "backend_too_large"', (good) => ({
    put: (key, value) => {
      if (value.access_token.length > 4096) throw new Error("value too long");
      good.put(key, value);
    },
  })]],
  "loses nothing to writers": [["that reads, waits and writes", "does not see one", () => {
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
  }], ["that keeps each entry that it has read", "that another one replaces", (good) => {
    const read: Record<string, OidcCredentials | undefined> = {};
    return { get: (key) => read[key] ??= good.get(key) };
  }], ["whose handles do not share a store", "does not see one", () => ({ persistent: true })]],
  "lists the keys": [["that lists a key twice", "gave a key twice", (good) => ({
    list: async function* () {
      yield* good.list();
      yield* good.list();
    },
  })], ["that lists some of its keys", "left out a key", (good) => ({
    list: async function* () {
      for await (const key of good.list()) if (!key.includes("größe")) yield key;
    },
  })], ["that lists its first twenty", "left out a key", (good) => ({
    list: async function* () {
      yield* (await Array.fromAsync(good.list())).slice(0, 20);
    },
  })], ["that lists the names of files", "left out a key", (good) => ({
    list: async function* () {
      for await (const key of good.list()) yield key.replaceAll("/", "_");
    },
  })], ["that lists what was deleted", "was deleted", (good) => {
    const seen = new Set<string>();
    return {
      put: (key, value) => (seen.add(key), good.put(key, value)),
      list: async function* () {
        yield* seen;
      },
    };
  }]],
  "lets one holder of a lock run": [[
    "whose lock is none",
    "ran at the same time",
    () => ({ withLock: (_, fn) => fn() }),
  ]],
  "lets holders of different keys run": [[
    "whose lock is one for all keys",
    "held up another key",
    (good) => ({ withLock: (_, fn, options) => good.withLock("all", fn, options) }),
  ]],
  "serves under its own lock": [["whose lock outlives a fault", "still locked", () => {
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
  }]],
  "ends the wait for a lock by its signal": [[
    "whose lock does not listen",
    "did not end with the signal's reason",
    (good) => ({ withLock: (key, fn) => good.withLock(key, fn) }),
  ], ["whose lock stays with a wait that was ended", "still taken", (good) => {
    let isTaken = false;
    return {
      withLock: async (...args) => {
        if (isTaken) throw new Error("still taken");
        return await good.withLock(...args).catch((error) => {
          isTaken = true;
          throw error;
        });
      },
    };
  }]],
  "does not take unreadable for absent": [[
    "that takes unreadable for absent",
    "it must throw",
    () => ({ get: () => undefined }),
  ], ["whose delete does nothing", "delete() in an unreadable store did nothing", () => ({
    get: unreadable,
    delete: () => {},
  })], ["whose list gives none", "list() of an unreadable store", () => ({
    get: unreadable,
    delete: unreadable,
    list: async function* () {},
  })], ["whose error quotes the store", "shows a token", () => ({
    get: () => {
      throw new Error("unexpected token in conformance-secret-access");
    },
  })]],
  "works with the permissions that it declares": [[
    "that declares no permissions, and needs some",
    "requiredPermissions() does not name read",
    () => ({ requiredPermissions: () => [] }),
  ], ["that leaves one out", "requiredPermissions() does not name write", () => ({
    requiredPermissions: () => [{ name: "read" }],
  })]],
};

const rows = Object.entries(FAULTS).flatMap(([check, rows]) =>
  rows.map((row) => [check, ...row] as const)
);
for (const [check, name, says, fault] of rows) {
  Deno.test(`the conformance suite finds a backend ${name}`, async () => {
    const good = new MemoryCredentialsBackend();
    const backend = wrapBackend(good, fault(good));
    const error = await assertRejects(() => runCheck(check, backend), Error);
    assert(error.message.includes(says), error.message);
    assert(!error.message.includes("conformance-secret-access") || says === "shows a token");
  });
}

Deno.test("the conformance suite's faults cover every check but those that need the real store", () => {
  const found = Object.keys(FAULTS);
  const missed = CONFORMANCE_CHECKS.map(([name]) => name).filter((name) =>
    !found.some((start) => name.startsWith(start))
  );
  assertEquals(missed, ["loses nothing to several processes, nor its lock to one that is killed"]);
});

Deno.test("the conformance suite removes its entries, and leaves those of others", async () => {
  const store = new MemoryCredentialsBackend();
  store.put("another", { issuer: "i", client_id: "c", access_token: "a" });
  const tests: Deno.TestDefinition[] = [];
  {
    using _ = replace(Deno, "test", ((one: Deno.TestDefinition) => tests.push(one)) as never);
    testCredentialsBackend("kit", () => store, { patienceMs: 50 });
  }
  for (const { fn, ignore } of tests) if (!ignore) await fn(undefined as never);
  assertEquals(tests.length, CONFORMANCE_CHECKS.length);
  const lacks = tests.filter(({ ignore }) => ignore).map(({ name }) =>
    /needs the.*/.exec(name)?.[0]
  );
  assert(lacks.includes('needs the option "permissions")'), `${lacks}`);
  assertEquals(await Array.fromAsync(store.list()), ["another"]);
});

Deno.test("the conformance suite accepts a typed refusal of large entries, and of keys above 600 characters", async () => {
  const good = new MemoryCredentialsBackend();
  const backend = wrapBackend(good, {
    put: (key, value) => {
      if (key.length > 600) throw new Error("the key is too long");
      if (value.access_token.length > 4096) {
        throw storeError("backend_too_large", "Cannot store: too large. Shorten.");
      }
      good.put(key, value);
    },
  });
  await runCheck("holds entries of any size", backend);
  await runCheck("keeps unicode", backend);
});

Deno.test("the conformance suite tells of a store that does not say whether it is persistent", async () => {
  using streams = new OwnStreams();
  for (const persistent of [false, undefined]) {
    assertEquals(streams.written.stderr, "");
    const backend = wrapBackend(new MemoryCredentialsBackend(), { persistent });
    await runCheck("loses nothing to writers", backend);
  }
  assert(streams.written.stderr.includes("no second handle is tried"));
});

Deno.test("the conformance suite tells of a store that ignores isReplaced", async () => {
  using streams = new OwnStreams();
  const store = new MemoryCredentialsBackend();
  await runCheck("stores as isReplaced", store);
  assertEquals(streams.written.stderr, "");
  await runCheck(
    "stores as isReplaced",
    wrapBackend(store, { put: (...[key, row]) => store.put(key, row) }),
  );
  assert(streams.written.stderr.includes("ignores isReplaced"));
});

async function runCheck(start: string, backend: OidcCredentialsBackend): Promise<void> {
  const [, check] = CONFORMANCE_CHECKS.find(([name]) => name.startsWith(start))!;
  const id = crypto.randomUUID();
  const key = (suffix: string = crypto.randomUUID()) => `conformance|${id}${suffix}`;
  const open = () => Promise.resolve(backend.persistent ? new MemoryCredentialsBackend() : backend);
  const permissions: Deno.PermissionOptions = { read: ["/srv"], write: ["/srv"], net: false };
  // The store of another person: here the same one.
  await check({ backend, name: key(), open, key, patienceMs: 50, another: backend, permissions });
}
