/** The lock of a key proves that the file can be written, by a temp file that is then the write's own. */
import { assert, assertEquals } from "@std/assert";
import { PROVES } from "../../backends/common/probe.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../support/run_denied.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { backendUrl } from "../support/deno_process.ts";

const { folder, permissions } = sandbox();
const nothing = () => Promise.resolve();

function backendIn(parent: string): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
}

function tempsIn(parent: string): string[] {
  return namesIn(parent).filter((name) => name.endsWith(".tmp"));
}

/** The name of a test that this machine may not be able to run, with the reason. */
function named(name: string, whyNot: string | undefined): { name: string; ignore: boolean } {
  return { name: whyNot ? `${name} (ignored: ${whyNot})` : name, ignore: whyNot !== undefined };
}

/** A script that attempts things with a backend and prints the outcome of each as JSON. */
function script(path: string, steps: string): string {
  return `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    const entry = ${JSON.stringify(entry())};
    const outcomes = [];
    const attempt = async (fn) => {
      try { outcomes.push(await fn() ?? "done"); }
      catch (error) { outcomes.push(error.code); }
    };
    const locked = (fn = async () => "held") => backend.withLock("${KEY}", fn);
    ${steps}
    console.log(JSON.stringify(outcomes));
  `;
}

Deno.test(
  "a lock makes a closed file of the coming size, which the put uses, and leaves no trace",
  { permissions },
  async () => {
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
  },
);

Deno.test("a temp file that somebody replaced is not used, nor one that a crash left", {
  permissions,
}, async () => {
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

Deno.test("a lock fails as the put would: of a newer version, or a file that is corrupt", {
  permissions,
}, async () => {
  const parent = folder();
  const backend = backendIn(parent);
  const texts = { backend_version: `{"version": 99, "credentials": {}}`, backend_corrupt: "{" };
  for (const [code, text] of Object.entries(texts)) {
    Deno.writeTextFileSync(backend.path, text, { mode: 0o600 });
    const lock = () => backend.withLock(KEY, nothing);
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
    const remove = () => {
      if (what === "folder") return Deno.renameSync(parent, `${parent}.moved`);
      for (const name of namesIn(parent)) Deno.removeSync(`${parent}/${name}`);
    };
    await backend.withLock(KEY, async () => {
      remove();
      await rejectsWith("backend_locked", () => backend.get(KEY), backend.path);
      await rejectsWith("backend_locked", () => backend.put(KEY, entry()), backend.path);
    });
    assertEquals(backend.get(KEY), undefined);
    await backend.put(KEY, entry());
  }
  const backend = backendIn(folder());
  await backend.withLock(KEY, async () => {
    await backend.put(KEY, entry());
    Deno.removeSync(backend.path); // by somebody who signs out all
    assertEquals(backend.get(KEY), undefined);
  });
});

Deno.test({
  ...named("a lock fails where the folder denies a put", whyNoDenial),
  async fn() {
    const parent = folder();
    const backend = backendIn(parent);
    await backend.withLock(KEY, () => backend.put(KEY, entry()));
    Deno.chmodSync(parent, 0o500);
    try {
      const code = script(backend.path, `await attempt(() => locked());`);
      assertEquals(await runDenied(code), ["backend_denied"]);
    } finally {
      Deno.chmodSync(parent, 0o700);
    }
  },
});

Deno.test({
  ...named("a lock fails on a full disk, and keeps its space on one that fills up", whyNoMount),
  async fn() {
    const mounted = folder();
    const steps = `
      const path = ${JSON.stringify(mounted)};
      const fill = () => {
        try { Deno.writeFileSync(path + "/filler", new Uint8Array(100_000)); } catch { /* full */ }
      };
      await attempt(() => backend.put("${OTHER}", entry));
      await attempt(() => locked(async () => {
        fill();
        await attempt(() => backend.put("${OTHER}", entry));
        await backend.put("${KEY}", { ...entry, x_fill: "f".repeat(7_000) });
      }));
      await attempt(() => backend.get("${KEY}").x_fill.length);
      fill();
      await attempt(() => locked());
    `;
    const outcomes = await runMounted(mounted, script(`${mounted}/credentials.json`, steps));
    assertEquals(outcomes, ["done", "backend_full", "done", 7000, "backend_full"]);
  },
});

Deno.test({
  ...named("no file system becomes read-only while a lock is held on it", whyNoMount),
  async fn() {
    const mounted = folder();
    const steps = `
      const args = ["-o", "remount,ro", ${JSON.stringify(mounted)}];
      const remount = async () => (await new Deno.Command("mount", { args }).output()).success;
      await attempt(() => backend.put("${KEY}", entry));
      await attempt(() => locked(async () => {
        outcomes.push(await remount());
        await backend.put("${KEY}", { ...entry, x_new: 1 });
      }));
      outcomes.push(await remount());
      await attempt(() => locked());
      await attempt(() => backend.get("${KEY}").x_new);
    `;
    const outcomes = await runMounted(mounted, script(`${mounted}/credentials.json`, steps));
    assertEquals(outcomes, ["done", false, "done", true, "backend_unavailable", 1]);
  },
});
