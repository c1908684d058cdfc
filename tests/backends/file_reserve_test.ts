import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../support/run_denied.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { backendUrl } from "../support/deno_process.ts";

const { folder, permissions } = sandbox();
const QUIET = ["credentials.json", "credentials.json.lock"];

function backendIn(parent: string): FileCredentialsBackend {
  return new FileCredentialsBackend({ path: `${parent}/credentials.json` });
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
    const reserve = async (bytes) => { await using room = await backend.reserve("${KEY}", bytes); };
    const names = () => Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
    ${steps}
    console.log(JSON.stringify(outcomes));
  `;
}

Deno.test({
  name: "a reservation makes a closed file of the coming size, and ends without a trace",
  permissions,
  async fn() {
    const parent = folder();
    const backend = backendIn(parent);
    await backend.put(KEY, entry());
    {
      await using _room = await backend.reserve(KEY, 10_000);
      const [name = "", ...more] = namesIn(parent).filter((name) => !QUIET.includes(name));
      assertEquals(more, []);
      assert(/^credentials\.json\.[0-9a-f]{8}\.tmp$/.test(name), name);
      const bytes = Deno.readFileSync(`${parent}/${name}`);
      assert(bytes.length > 10_000 && bytes.every((byte) => byte === 0));
      if (isPosix) assertEquals(modeOf(`${parent}/${name}`), 0o600);
    }
    assertEquals(namesIn(parent), QUIET);
    assertEquals(backend.get(KEY), entry());
  },
});

Deno.test({
  name: "a put uses the reserved file, and is whole whether it is shorter or longer",
  permissions,
  async fn() {
    const parent = folder();
    const backend = backendIn(parent);
    for (const bytes of [0, 100_000]) {
      for (const length of [10, 50_000]) {
        await using _room = await backend.reserve(KEY, bytes);
        const reserved = namesIn(parent).find((name) => name.endsWith(".tmp"));
        const { ino } = Deno.statSync(`${parent}/${reserved}`);
        await backend.put(OTHER, entry()); // of another key: leaves the reservation alone
        const expected = entry({ x_fill: "f".repeat(length) });
        await backend.put(KEY, expected);
        if (isPosix) assertEquals(Deno.statSync(backend.path).ino, ino);
        assertEquals(backend.get(KEY), expected);
        assertEquals(namesIn(parent), QUIET);
        await backend.put(KEY, entry()); // a second one does without
        assertEquals(backend.get(KEY), entry());
      }
    }
    assertEquals(namesIn(parent), QUIET);
  },
});

Deno.test({
  name: "a reserved file that somebody replaced is not used, nor what a crash left of one",
  permissions,
  async fn() {
    const parent = folder();
    const backend = backendIn(parent);
    await backend.put(KEY, entry());
    await using _room = await backend.reserve(KEY, 100);
    const temp = namesIn(parent).find((name) => name.endsWith(".tmp"));
    Deno.writeTextFileSync(`${parent}/planted`, "planted");
    Deno.renameSync(`${parent}/planted`, `${parent}/${temp}`);
    await backend.put(KEY, entry({ x_new: 1 }));
    assertEquals(backend.get(KEY), entry({ x_new: 1 }));
    Deno.writeTextFileSync(`${parent}/${temp}`, "left by a crash");
    await using _again = await backend.reserve(KEY, 100);
    assertEquals(Deno.readFileSync(`${parent}/${temp}`)[0], 0);
  },
});

Deno.test({
  name: "a reservation fails as the put would: of a newer version, or a file that is corrupt",
  permissions,
  async fn() {
    const parent = folder();
    const backend = backendIn(parent);
    const texts = { backend_version: `{"version": 99, "credentials": {}}`, backend_corrupt: "{" };
    for (const [code, text] of Object.entries(texts)) {
      Deno.writeTextFileSync(backend.path, text, { mode: 0o600 });
      const reserve = () => backend.reserve(KEY, 100);
      await rejectsWith(code as "backend_version", reserve, backend.path);
      assertEquals(Deno.readTextFileSync(backend.path), text);
    }
    assertEquals(namesIn(parent), QUIET);
  },
});

Deno.test({
  ...named("a reservation fails where the folder denies a put", whyNoDenial),
  async fn() {
    const parent = folder();
    await backendIn(parent).put(KEY, entry());
    Deno.chmodSync(parent, 0o500);
    try {
      const steps = `await attempt(() => reserve(100));`;
      const code = script(`${parent}/credentials.json`, steps);
      assertEquals(await runDenied(code), ["backend_denied"]);
    } finally {
      Deno.chmodSync(parent, 0o700);
    }
    assertEquals(namesIn(parent), QUIET);
  },
});

Deno.test({
  ...named(
    "a reservation fails on a full disk, and keeps its space on one that fills up",
    whyNoMount,
  ),
  async fn() {
    const mounted = folder();
    const steps = `
      const path = ${JSON.stringify(mounted)};
      await attempt(() => backend.put("${OTHER}", entry));
      await attempt(() => reserve(200_000));
      await attempt(names);
      await attempt(async () => {
        await using room = await backend.reserve("${KEY}", 8_000);
        try { Deno.writeFileSync(path + "/filler", new Uint8Array(100_000)); } catch { /* full */ }
        await attempt(() => backend.put("${OTHER}", entry));
        await backend.put("${KEY}", { ...entry, x_fill: "f".repeat(7_000) });
      });
      await attempt(() => backend.get("${KEY}").x_fill.length);
      await attempt(() => reserve(60_000));
      await attempt(names);
    `;
    const [first, full, before, other, put, length, again, after] = await runMounted(
      mounted,
      script(`${mounted}/credentials.json`, steps),
    ) as unknown[];
    assertEquals([first, full, before], ["done", "backend_full", QUIET]);
    assertEquals([other, put, length], ["backend_full", "done", 7000]);
    assertEquals([again, after], ["backend_full", [...QUIET, "filler"]]);
  },
});

Deno.test({
  ...named("no file system becomes read-only while an entry is reserved on it", whyNoMount),
  async fn() {
    const mounted = folder();
    const steps = `
      const path = ${JSON.stringify(mounted)};
      const args = ["-o", "remount,ro", path];
      const remount = async () => (await new Deno.Command("mount", { args }).output()).success;
      await attempt(() => backend.put("${KEY}", entry));
      {
        await using room = await backend.reserve("${KEY}", 100);
        outcomes.push(await remount());
        await attempt(() => backend.put("${KEY}", { ...entry, x_new: 1 }));
      }
      outcomes.push(await remount());
      await attempt(() => reserve(100));
      await attempt(() => backend.get("${KEY}").x_new);
    `;
    const outcomes = await runMounted(mounted, script(`${mounted}/credentials.json`, steps));
    assertEquals(outcomes, ["done", false, "done", true, "backend_unavailable", 1]);
  },
});
