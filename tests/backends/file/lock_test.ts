import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test(name, { permissions }, fn);
}
const nothing = () => Promise.resolve();

/** Backends of one file with different patience, and the path of the lock of the key "a". */
function locks() {
  const parent = folder();
  const path = `${parent}/c.json`;
  const open = (lockTimeoutMs = 30_000) => new FileCredentialsBackend({ path, lockTimeoutMs });
  return { parent, open, lockPath: `${path}.c.lock` };
}

test("a lock's file is empty and closed, and stays", async () => {
  const { open, lockPath, parent } = locks();
  assertEquals(await open().withLock("a", () => Promise.resolve(7)), 7);
  assertEquals(namesIn(parent), ["c.json.c.lock"]); // of the same name in every release
  assertEquals(Deno.readTextFileSync(lockPath), "");
  if (isPosix) assertEquals(modeOf(lockPath), 0o600);
});

test("the wait for a lock ends by its time limit, its signal or what peek sees", async () => {
  const { open } = locks();
  const abort = new AbortController();
  const looks: string[] = [];
  const peek = () => Promise.resolve(looks.push("look") < 3 ? undefined : "seen");
  assertEquals(await open().withLock("a", () => Promise.resolve("run"), { peek }), "run");
  assertEquals(looks, []);
  let hasRun = false;
  const run = () => Promise.resolve(String(hasRun = true));
  await open().withLock("a", async () => {
    for (const timeoutMs of [0, 25]) {
      const start = performance.now();
      const words = ["lsof", `${timeoutMs} ms`];
      await rejectsWith("backend_locked", () => open(timeoutMs).withLock("a", run), ...words);
      assertEquals(performance.now() - start >= timeoutMs, true);
    }
    const waiting = open().withLock("a", run, { signal: abort.signal });
    await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort("enough");
    assertEquals(await waiting.catch((reason) => reason), "enough");
    assertEquals(await open().withLock("a", run, { peek }), "seen");
    assertEquals(looks.length, 3);
    await rejectsWith("backend_locked", () => open(0).withLock("a", run)); // still held
  });
  const late = open().withLock("a", run, { signal: abort.signal });
  assertEquals(await late.catch((reason) => reason), "enough");
  assertEquals(hasRun, false);
  const fault = new Error("the holder's own");
  const fail = () => open().withLock("a", () => Promise.reject(fault));
  assertStrictEquals(await assertRejects(fail), fault);
  assertEquals(await open(0).withLock("a", () => Promise.resolve("free")), "free");
});

test("sixteen lock files are for all keys, and one process holds several keys of one", async () => {
  const { open, parent, lockPath } = locks();
  const ofFile = new Map<string, string[]>();
  for (let number = 0; number < 100; number++) {
    const seen = await open().withLock(`${number}`, () => {
      const held = namesIn(parent).filter((name) => {
        using file = Deno.openSync(`${parent}/${name}`, { write: true });
        return name.endsWith(".lock") && !file.tryLockSync(true);
      });
      return Promise.resolve(held);
    });
    assertEquals(seen.length, 1);
    ofFile.set(seen[0]!, [...ofFile.get(seen[0]!) ?? [], `${number}`]);
  }
  const names = [..."0123456789abcdef"].map((digit) => `c.json.${digit}.lock`);
  assertEquals(namesIn(parent), names);
  const inOneProcess = async ([key, ...rest]: string[]): Promise<void> => {
    if (key === undefined) return;
    await open().withLock(key, async () => {
      await rejectsWith("backend_locked", () => open(0).withLock(key, nothing));
      await inOneProcess(rest);
      using file = Deno.openSync(lockPath, { write: true });
      assertEquals(file.tryLockSync(true), false); // also after the inner ones have ended
    });
  };
  await inOneProcess(ofFile.get("c.json.c.lock")!);
  using file = Deno.openSync(lockPath, { write: true });
  assertEquals(file.tryLockSync(true), true);
});

Deno.test("a lock file that is replaced while somebody waits for it is not the lock any more", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const { open, lockPath } = locks();
  const order: string[] = [];
  /** Holds the lock until it is told to end. */
  const hold = async () => {
    const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const held = open().withLock("a", async () => {
      begun.resolve();
      await end.promise;
    });
    await begun.promise;
    return { held, end: end.resolve };
  };
  const first = await hold();
  const waiter = open().withLock("a", () => Promise.resolve(void order.push("waiter")));
  await new Promise((resolve) => setTimeout(resolve, 5)); // it has opened the file
  Deno.removeSync(lockPath);
  const second = await hold();
  first.end(); // the waiter gets the lock of the removed file
  await first.held;
  await new Promise((resolve) => setTimeout(resolve, 100));
  order.push("new holder ends");
  second.end();
  await Promise.all([second.held, waiter]);
  assertEquals(order, ["new holder ends", "waiter"]);
});
