/** Lock files that a neighbour has planted in a folder that both can write. */
import { assertEquals } from "@std/assert";
import { withFileLock } from "../../../backends/file/lock.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, makePipe, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder } = sandbox();
const PATIENT = { timeoutMs: 5000 };
const ignore = !isPosix;

/** Fails a test in which the lock is given out. */
function unexpected(): never {
  throw new Error("it has run");
}

Deno.test("a lock file that is a link is refused, and its target is neither written nor made", {
  ignore,
}, async () => {
  const parent = folder();
  const path = `${parent}/a.lock`;
  Deno.writeTextFileSync(`${parent}/keys`, "ssh-ed25519 AAAA", { mode: 0o600 });
  for (const target of ["keys", "nothing", "/dev/null"]) {
    Deno.symlinkSync(target, path);
    const lock = () => withFileLock(path, unexpected, PATIENT);
    await rejectsWith("backend_denied", lock, path, "it is a symbolic link");
    Deno.removeSync(path);
  }
  assertEquals(Deno.readTextFileSync(`${parent}/keys`), "ssh-ed25519 AAAA");
  assertEquals(namesIn(parent), ["keys"]);
});

Deno.test(
  "a named pipe or a folder in the lock file's place is refused at once",
  { ignore },
  async () => {
    const path = `${folder()}/a.lock`;
    const lock = () => withFileLock(path, unexpected, PATIENT);
    await makePipe(path);
    await rejectsWith("backend_denied", lock, path, "it is a named pipe");
    Deno.removeSync(path);
    Deno.mkdirSync(path);
    await rejectsWith("backend_denied", lock, path, "it is a folder");
  },
);

Deno.test(
  "a link that comes between the look at the lock file and its opening is not written through",
  { ignore },
  async () => {
    const parent = folder();
    const path = `${parent}/a.lock`;
    Deno.writeTextFileSync(path, "", { mode: 0o600 });
    Deno.writeTextFileSync(`${parent}/keys`, "ssh-ed25519 AAAA", { mode: 0o600 });
    const { openSync } = Deno;
    Deno.openSync = (name, options) => {
      Deno.openSync = openSync;
      Deno.removeSync(path);
      Deno.symlinkSync("keys", path);
      return openSync(name, options);
    };
    try {
      const lock = () => withFileLock(path, unexpected, PATIENT);
      await rejectsWith("backend_denied", lock, path, "it is a symbolic link");
    } finally {
      Deno.openSync = openSync;
    }
    assertEquals(Deno.readTextFileSync(`${parent}/keys`), "ssh-ed25519 AAAA");
  },
);

Deno.test("a lock file that is replaced while somebody waits for it is not the lock any more", {
  ignore,
}, async () => {
  const path = `${folder()}/a.lock`;
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const holder = withFileLock(path, () => first.promise, PATIENT);
  const waiter = withFileLock(path, () => void order.push("waiter"), PATIENT);
  Deno.removeSync(path);
  const newHolder = withFileLock(path, () => second.promise, PATIENT);
  first.resolve(); // the waiter gets the lock of the removed file
  await holder;
  await new Promise((resolve) => setTimeout(resolve, 100));
  order.push("new holder ends");
  second.resolve();
  await Promise.all([newHolder, waiter]);
  assertEquals(order, ["new holder ends", "waiter"]);
});
