/** The lock of a key proves that the file can be written, by a temp file that is then the write's own. */
import { assert, assertEquals } from "@std/assert";
import { PROVES } from "../../backends/common/describe_backend.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test(name, { permissions }, fn);
}

function backendIn(parent: string): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
}

function tempsIn(parent: string): string[] {
  return namesIn(parent).filter((name) => name.endsWith(".tmp"));
}

test("a lock makes a closed file of the coming size, which the put uses, and leaves no trace", async () => {
  const parent = folder();
  const backend = backendIn(parent);
  assertEquals(backend[PROVES], true);
  await backend.put(KEY, entry());
  for (const isPut of [true, false]) {
    await backend.withLock(KEY, async () => {
      const [temp, ...more] = tempsIn(parent).map((name) => `${parent}/${name}`);
      assertEquals(more, []);
      const { size, ino } = Deno.statSync(temp!);
      assert(size > Deno.statSync(backend.path).size + 10_000);
      if (isPosix) assertEquals(modeOf(temp!), 0o600);
      if (!isPut) return;
      await backend.put(KEY, entry({ x_new: 1 }));
      assertEquals([Deno.statSync(backend.path).ino, tempsIn(parent)], [ino, []]);
      await backend.put(KEY, entry({ x_new: 2 }));
    });
    assertEquals(tempsIn(parent), []);
  }
  assertEquals(backend.get(KEY), entry({ x_new: 2 }));
});

test("a temp file that somebody replaced is not used, nor one that a crash left", async () => {
  const parent = folder();
  const backend = backendIn(parent);
  await backend.withLock(KEY, async () => {
    const [temp] = tempsIn(parent);
    Deno.writeTextFileSync(`${parent}/planted`, "planted");
    Deno.renameSync(`${parent}/planted`, `${parent}/${temp}`);
    await backend.put(KEY, entry({ x_new: 1 }));
    assertEquals(tempsIn(parent), [temp]);
  });
  assertEquals(backend.get(KEY), entry({ x_new: 1 }));
  await backend.withLock(KEY, () => {
    assertEquals(Deno.readFileSync(`${parent}/${tempsIn(parent)[0]}`)[0], 0);
    return Promise.resolve();
  });
  assertEquals(tempsIn(parent), []);
});

test("a lock fails as the put would: of a newer version, or a file that is corrupt", async () => {
  const parent = folder();
  const backend = backendIn(parent);
  const texts = { backend_version: `{"version": 99, "credentials": {}}`, backend_corrupt: "{" };
  for (const [code, text] of Object.entries(texts)) {
    Deno.writeTextFileSync(backend.path, text, { mode: 0o600 });
    const lock = () => backend.withLock(KEY, () => Promise.resolve());
    await rejectsWith(code as "backend_version", lock, backend.path);
    assertEquals(Deno.readTextFileSync(backend.path), text);
  }
  assertEquals(tempsIn(parent), []);
});

Deno.test("a lock file or a folder that vanishes is an error, never a sign-out", {
  ignore: !isPosix,
}, async () => {
  for (const what of ["lock", "folder"]) {
    const parent = `${folder()}/inner`;
    const backend = backendIn(parent);
    await backend.put(KEY, entry());
    await backend.withLock(KEY, async () => {
      if (what === "folder") Deno.renameSync(parent, `${parent}.moved`);
      else for (const name of namesIn(parent)) Deno.removeSync(`${parent}/${name}`);
      await rejectsWith("backend_locked", () => backend.get(KEY), backend.path);
      await rejectsWith("backend_locked", () => backend.put(KEY, entry()), backend.path);
    });
    assertEquals(backend.get(KEY), undefined);
    const lock = () => backend.withLock(KEY, () => Promise.resolve());
    if (what === "folder") await rejectsWith("backend_unavailable", lock, "its folder vanished");
    else await lock();
    await backend.put(KEY, entry());
    await lock(); // it is there again
    await backend.delete(KEY);
  }
  const backend = backendIn(folder());
  await backend.withLock(KEY, async () => {
    await backend.put(KEY, entry());
    Deno.removeSync(backend.path); // by somebody who signs out all
    assertEquals(backend.get(KEY), undefined);
  });
});
