import { assert, assertEquals } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentialsBackend,
  WithLockOptions,
} from "../../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Two views of one place may each be cut off from it. */
class View implements OidcCredentialsBackend {
  readonly persistent = true;
  readonly location: string;
  readonly #rows: MemoryCredentialsBackend;
  readonly #log: string[];
  lockFault: CredentialsBackendErrorCode | undefined;

  constructor(location: string, rows: MemoryCredentialsBackend, log: string[] = []) {
    this.location = location;
    this.#rows = rows;
    this.#log = log;
  }
  get(key: string) {
    return this.#rows.get(key);
  }
  put(key: string, value: ReturnType<typeof entry>) {
    this.#rows.put(key, value);
  }
  delete(key: string) {
    this.#rows.delete(key);
  }
  async withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>): Promise<T> {
    if (this.lockFault !== undefined) {
      throw new CredentialsBackendError(this.lockFault, "Cannot lock: it failed. Mend it.");
    }
    return await this.#rows.withLock(key, async () => {
      this.#log.push(`${this.location} held`);
      return await fn();
    }, options);
  }
}

function places(log: string[] = []) {
  const rows = { a: new MemoryCredentialsBackend(), b: new MemoryCredentialsBackend() };
  const view = (name: "a" | "b") => new View(name, rows[name], log);
  return { rows, view };
}

function fallback(...backends: OidcCredentialsBackend[]): FallbackCredentialsBackend {
  return new FallbackCredentialsBackend({ backends, onFallback: () => {} });
}

/** Whether two backends keep each other out. */
async function exclude(
  one: FallbackCredentialsBackend,
  other: FallbackCredentialsBackend,
): Promise<boolean> {
  let inside = 0;
  let overlaps = 0;
  const hold = async () => {
    overlaps += inside++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
  };
  await Promise.all([one, other, one, other].map((backend) => backend.withLock!(KEY, hold)));
  return overlaps === 0;
}

Deno.test("the lock is that of every store, in one order however the stores are ranked", async () => {
  const log: string[] = [];
  const { view } = places(log);
  await fallback(view("a"), view("b")).withLock!(KEY, () => Promise.resolve());
  await fallback(view("b"), view("a")).withLock!(KEY, () => Promise.resolve());
  assertEquals(log, ["a held", "b held", "a held", "b held"]);
  assert(await exclude(fallback(view("a"), view("b")), fallback(view("b"), view("a"))));
});

Deno.test("two that reach different stores exclude each other by the one that both reach", async () => {
  const { view } = places();
  for (const code of ["backend_unavailable", "backend_timeout"] as const) {
    const cut = view("a");
    cut.lockFault = code;
    assert(await exclude(fallback(view("a"), view("b")), fallback(cut, view("b"))));
  }
});

Deno.test("a store whose lock was not had is not used under the lock, and afterwards is again", async () => {
  const { rows, view } = places();
  rows.a.put(KEY, entry());
  const a = view("a");
  const backend = fallback(a, view("b"));
  a.lockFault = "backend_unavailable";
  await backend.withLock!(KEY, async () => {
    assertEquals(await backend.get(KEY), undefined);
    await backend.put(KEY, entry({ access_token: "elsewhere" }));
    await backend.delete(KEY);
    assertEquals((await backend.status(KEY)).map(({ state }) => state), ["failed", "absent"]);
  });
  assertEquals(rows.a.get(KEY), entry());
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("a lock that is held or denied is an error, and nothing runs without it", async () => {
  const { view } = places();
  for (const code of ["backend_locked", "backend_denied", "keychain_locked"] as const) {
    const a = view("a");
    a.lockFault = code;
    let hasRun = false;
    const run = () => fallback(a, view("b")).withLock!(KEY, () => Promise.resolve(hasRun = true));
    await rejectsWith(code, run);
    assertEquals(hasRun, false);
  }
});

Deno.test("one at a time in this process, also where no store can be locked", async () => {
  const { view } = places();
  const cut = view("a");
  cut.lockFault = "backend_unavailable";
  const backend = fallback(cut);
  assert(await exclude(backend, backend));
});

Deno.test("what its function throws comes as it is, even a store's error, and it runs once", async () => {
  const { view } = places();
  const backend = fallback(view("a"), view("b"));
  let runs = 0;
  const thrown = new CredentialsBackendError("backend_unavailable", "Cannot read: gone. Mend it.");
  const error = await backend.withLock!(KEY, () => {
    runs++;
    return Promise.reject(thrown);
  }).catch((error) => error);
  assertEquals([error, runs], [thrown, 1]);
  assertEquals(await backend.withLock!(KEY, () => Promise.resolve(5)), 5);
});

Deno.test("a store's own wait may end by what peek sees", async () => {
  const { rows, view } = places();
  const seeing: OidcCredentialsBackend = Object.assign(view("a"), {
    withLock: async <T>(_: string, _fn: () => Promise<T>, options?: WithLockOptions<T>) =>
      (await options?.peek?.())!,
  });
  const backend = fallback(seeing, view("b"));
  rows.b.put(KEY, entry());
  const seen = await backend.withLock!<string>(KEY, () => Promise.reject(new Error("ran")), {
    peek: async () => (await backend.get(KEY))?.client_id,
  });
  assertEquals(seen, "my-app");
});
