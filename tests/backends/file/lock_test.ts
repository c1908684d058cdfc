import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { shortHash, withFileLock, withKeyLock } from "../../../backends/file/lock.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();
const PATIENT = { timeoutMs: 30_000 };

function later(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("withFileLock gives the function's value and leaves the lock file, with nothing in it", {
  permissions,
}, async () => {
  const path = `${folder()}/a.lock`;
  assertEquals(await withFileLock(path, () => 7, PATIENT), 7);
  assertEquals(await withFileLock(path, () => Promise.resolve(8), PATIENT), 8);
  assertEquals(Deno.readTextFileSync(path), "");
  if (isPosix) assertEquals(modeOf(path), 0o600);
});

Deno.test(
  "withFileLock runs a synchronous function before it yields",
  { permissions },
  async () => {
    let hasRun = false;
    const running = withFileLock(`${folder()}/a.lock`, () => hasRun = true, PATIENT);
    assertEquals(hasRun, true);
    await running;
  },
);

Deno.test(
  "withFileLock lets one holder run at a time, and all in the end",
  { permissions },
  async () => {
    const path = `${folder()}/a.lock`;
    let inside = 0;
    const seen: number[] = [];
    const hold = async () => {
      seen.push(++inside);
      await later();
      inside--;
    };
    await Promise.all(Array.from({ length: 8 }, () => withFileLock(path, hold, PATIENT)));
    assertEquals(seen, Array(8).fill(1));
  },
);

Deno.test("withFileLock releases the lock when the function throws, and passes the error on", {
  permissions,
}, async () => {
  const path = `${folder()}/a.lock`;
  const fault = new Error("the holder's own");
  const reject = () => Promise.reject(fault);
  assertStrictEquals(await assertRejects(() => withFileLock(path, reject, PATIENT)), fault);
  const fail = () => {
    throw fault;
  };
  assertStrictEquals(await assertRejects(() => withFileLock(path, fail, PATIENT)), fault);
  assertEquals(await withFileLock(path, () => "free", { timeoutMs: 0 }), "free");
});

Deno.test("withFileLock gives up after its time limit, and says how to find the holder", {
  permissions,
}, async () => {
  const path = `${folder()}/a.lock`;
  await withFileLock(path, async () => {
    for (const timeoutMs of [0, 25]) {
      const start = performance.now();
      const words = [path, "lsof", `${timeoutMs} ms`];
      await rejectsWith(
        "backend_locked",
        () => withFileLock(path, later, { timeoutMs }),
        ...words,
      );
      assertEquals(performance.now() - start >= timeoutMs, true);
    }
  }, PATIENT);
});

Deno.test(
  "withFileLock ends the wait with the signal's reason, and the lock stays with its holder",
  { permissions },
  async () => {
    const path = `${folder()}/a.lock`;
    const abort = new AbortController();
    const reason = new Error("enough");
    let hasRun = false;
    await withFileLock(path, async () => {
      const options = { ...PATIENT, signal: abort.signal };
      const waiting = withFileLock(path, () => hasRun = true, options);
      await later();
      abort.abort(reason);
      assertStrictEquals(await assertRejects(() => waiting), reason);
      await rejectsWith("backend_locked", () => withFileLock(path, later, { timeoutMs: 0 }));
    }, PATIENT);
    assertEquals(hasRun, false);
  },
);

Deno.test("withFileLock ends the wait with what peek sees, without the lock and without a run", {
  permissions,
}, async () => {
  const path = `${folder()}/a.lock`;
  const run = () => "run";
  const looks: string[] = [];
  const peek = () => looks.push("look") < 3 ? undefined : "seen";
  assertEquals(await withFileLock(path, run, { ...PATIENT, peek }), "run");
  assertEquals(looks, []);
  await withFileLock(path, async () => {
    assertEquals(await withFileLock(path, run, { ...PATIENT, peek }), "seen");
    assertEquals(looks.length, 3);
    await rejectsWith("backend_locked", () => withFileLock(path, later, { timeoutMs: 0 }));
  }, PATIENT);
});

Deno.test("withFileLock touches nothing when its signal has been aborted before", {
  permissions: "none",
}, async () => {
  const signal = AbortSignal.abort("too late");
  let reason: unknown;
  try {
    await withFileLock("/nowhere/a.lock", later, { ...PATIENT, signal });
  } catch (error) {
    reason = error;
  }
  assertEquals(reason, "too late");
});

Deno.test("withFileLock reports a lock file that cannot be opened, and runs nothing", {
  permissions,
}, async () => {
  let hasRun = false;
  const path = `${folder()}/missing/a.lock`;
  const run = () => withFileLock(path, () => hasRun = true, PATIENT);
  await rejectsWith("backend_unavailable", run, path);
  await rejectsWith(
    "permission_required",
    () => withFileLock("/elsewhere/a.lock", () => hasRun = true, PATIENT),
    "--allow-write=/elsewhere",
  );
  assertEquals(hasRun, false);
});

Deno.test("withKeyLock has sixteen lock files for all keys, and makes their folder", {
  permissions,
}, async () => {
  const base = `${folder()}/new/c.json`;
  for (let key = 0; key < 200; key++) await withKeyLock(base, `key ${key}`, () => 1, PATIENT);
  const names = namesIn(base.replace("/c.json", ""));
  assertEquals(names, [..."0123456789abcdef"].map((digit) => `c.json.${digit}.lock`));
  assertEquals(shortHash("a"), "e40c292c"); // the same in every release
});

Deno.test("withKeyLock lets holders of keys with one lock file run at once in one process", {
  permissions,
}, async () => {
  const base = `${folder()}/c.json`;
  const keys = Array.from({ length: 100 }, (_, index) => `key ${index}`)
    .filter((key) => shortHash(key).at(-1) === shortHash("key 0").at(-1));
  const inOneProcess = async (key: string | undefined, ...rest: string[]): Promise<void> => {
    if (key === undefined) return;
    await withKeyLock(base, key, async () => {
      await rejectsWith("backend_locked", () => withKeyLock(base, key, later, { timeoutMs: 0 }));
      await inOneProcess(...rest as [string]);
    }, PATIENT);
  };
  await inOneProcess(...keys as [string]);
  assertEquals(keys.length > 2, true);
  assertEquals(namesIn(base.replace("/c.json", "")).length, 1);
  using file = Deno.openSync(`${base}.${shortHash("key 0").at(-1)}.lock`, { write: true });
  assertEquals(file.tryLockSync(true), true); // free
});
