import { assertEquals, assertMatch } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../support/run_denied.ts";
import { isPosix, namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

/** The name of a test that this machine may not be able to run, which then says why. */
function named(name: string, whyNot: string | undefined): { name: string; ignore: boolean } {
  return { name: whyNot ? `${name} (ignored: ${whyNot})` : name, ignore: whyNot !== undefined };
}

/** A script that does things with the backend at `path` and prints the outcome of each as JSON. */
function script(path: string, steps: string): string {
  return `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const path = ${JSON.stringify(path)};
    const backend = new FileCredentialsBackend({ path });
    const entry = ${JSON.stringify(entry())};
    const large = { ...entry, x_fill: "f".repeat(200_000) };
    const outcomes = [];
    const attempt = async (fn) => {
      try { outcomes.push({ value: await fn() }); }
      catch (e) { outcomes.push({ code: e.code, message: e.message, inspect: Deno.inspect(e) }); }
    };
    ${steps}
    console.log(JSON.stringify(outcomes));
  `;
}

type Outcome = { value?: unknown; code?: string; message?: string };

function brief(outcomes: unknown): unknown[] {
  return (outcomes as Outcome[]).map(({ value, code, message }) => {
    assertNoSecret(message);
    return code === undefined ? value : `${code}: ${message?.split(": ")[1]?.split(". ")[0]}`;
  });
}

for (const denied of ["file", "folder"]) {
  Deno.test({
    ...named(`a ${denied} that the system denies is backend_denied, not absent`, whyNoDenial),
    async fn() {
      const parent = folder();
      const path = `${parent}/credentials.json`;
      await new FileCredentialsBackend({ path }).put(KEY, entry());
      Deno.chmodSync(denied === "file" ? path : parent, 0o000);
      try {
        const steps = `
          await attempt(() => backend.get("${KEY}"));
          await attempt(() => backend.put("${KEY}", entry));
          await attempt(() => backend.delete("${KEY}"));
          await attempt(() => Array.fromAsync(backend.list()));
        `;
        const outcomes = brief(await runDenied(script(path, steps)));
        assertEquals(outcomes, Array(4).fill("backend_denied: the operating system denies it"));
      } finally {
        Deno.chmodSync(parent, 0o700);
        Deno.chmodSync(path, 0o600);
      }
      assertEquals(new FileCredentialsBackend({ path }).get(KEY), entry());
    },
  });
}

Deno.test({
  ...named("a folder without the right to write can be read, and a put is denied", whyNoDenial),
  async fn() {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    await new FileCredentialsBackend({ path }).put(KEY, entry());
    Deno.chmodSync(parent, 0o500);
    try {
      const steps = `
        await attempt(() => backend.get("${KEY}").client_id);
        await attempt(() => backend.put("${KEY}", entry));
        await attempt(() => backend.deleteAll());
        await attempt(() => backend.get("${KEY}").client_id);
      `;
      const denied = "backend_denied: the operating system denies it";
      assertEquals(
        brief(await runDenied(script(path, steps))),
        ["my-app", denied, denied, "my-app"],
      );
    } finally {
      Deno.chmodSync(parent, 0o700);
    }
  },
});

Deno.test({
  ...named("a full disk is backend_full: the old is kept, and no temp file stays", whyNoMount),
  async fn() {
    const mounted = folder();
    const steps = `
      await attempt(() => backend.put("${KEY}", entry));
      await attempt(() => backend.put("${OTHER}", large));
      await attempt(() => backend.get("${KEY}").client_id);
      await attempt(() => backend.get("${OTHER}") === undefined);
      await attempt(() => Array.from(Deno.readDirSync("${mounted}"), (f) => f.name).sort());
      await attempt(() => backend.delete("${KEY}"));
      await attempt(() => backend.get("${KEY}") === undefined);
    `;
    const outcomes = brief(await runMounted(mounted, script(`${mounted}/c.json`, steps)));
    const names = ["c.json", "c.json.lock"];
    const full = "backend_full: no space is left";
    assertEquals(
      outcomes,
      [null, full, "my-app", true, names, null, true].map((v) => v ?? undefined),
    );
  },
});

Deno.test({
  ...named("a read-only file system is an error that says so, and can be read", whyNoMount),
  async fn() {
    const mounted = folder();
    const steps = `
      await attempt(() => backend.put("${KEY}", entry));
      const args = ["-o", "remount,bind,ro", "${mounted}"];
      if (!new Deno.Command("mount", { args }).outputSync().success) throw new Error("no remount");
      await attempt(() => backend.get("${KEY}").client_id);
      await attempt(() => backend.put("${KEY}", entry));
      await attempt(() => backend.delete("${KEY}"));
      await attempt(() => backend.deleteAll());
      await attempt(() => new FileCredentialsBackend({ path: "${mounted}/new/c.json" }).put("k", entry));
      await attempt(() => backend.get("${KEY}").client_id);
    `;
    const outcomes = brief(await runMounted(mounted, script(`${mounted}/c.json`, steps)));
    const readOnly = "backend_unavailable: Read-only file system (EROFS)";
    assertEquals(outcomes, [undefined, "my-app", ...Array(4).fill(readOnly), "my-app"]);
  },
});

Deno.test("a directory in the file's place is an error, and stays", {
  permissions,
  ignore: !isPosix,
}, async () => {
  const path = `${folder()}/credentials.json`;
  Deno.mkdirSync(`${path}/inner`, { recursive: true });
  const backend = new FileCredentialsBackend({ path });
  for (const access of [() => backend.get(KEY), () => backend.put(KEY, entry())]) {
    await rejectsWith("backend_denied", access, path, "it is a folder");
  }
  await rejectsWith("backend_denied", () => backend.deleteAll(), path);
  assertEquals(namesIn(path), ["inner"]);
});

Deno.test(
  "a file in the folder's place is an error",
  { permissions, ignore: !isPosix },
  async () => {
    const parent = `${folder()}/file`;
    Deno.writeTextFileSync(parent, "");
    const backend = new FileCredentialsBackend({ path: `${parent}/credentials.json` });
    await rejectsWith("backend_unavailable", () => backend.get(KEY), "Not a directory");
    await rejectsWith("backend_unavailable", () => backend.put(KEY, entry()), backend.path);
  },
);

Deno.test("an access that Deno does not permit is an error that names the flags", async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  const steps = `
      await attempt(() => backend.get("k"));
      await attempt(() => backend.put("k", entry));
      await attempt(() => backend.withLock("k", () => Promise.resolve()));
    `;
  const run = async (flags: string[]) => {
    const { stdout } = await runDeno({ code: script(path, steps), flags });
    return (JSON.parse(stdout) as Outcome[]).map(({ code, message }) => `${code} ${message}`);
  };
  const words = `Deno does not permit it. Run with: --allow-read=${parent} --allow-write=${parent}`;
  const read = `permission_required Cannot read ${path}: ${words}`;
  const write = `permission_required Cannot write ${path}: ${words}`;
  assertEquals(await run([]), [read, write, write]);
  assertEquals(await run([`--allow-write=${parent}`]), [read, write, write]);
  const lock = (name: string) => `permission_required Cannot open the lock file ${name}: ${words}`;
  const [missing, update, refresh] = await run([`--allow-read=${parent}`]);
  assertEquals([missing, update], ["undefined undefined", lock(`${path}.lock`)]);
  assertMatch(
    refresh!,
    /Cannot open the lock file .+credentials\.json\.[0-9a-f]\.lock: Deno does/,
  );
});

Deno.test("too many open files are an error that says so, never an absent file", {
  ignore: !isPosix,
}, async () => {
  const parent = folder();
  const path = `${parent}/credentials.json`;
  await new FileCredentialsBackend({ path }).put(KEY, entry());
  // Nothing but the calls runs without a free descriptor: Deno itself panics at some other steps.
  const code = `
      import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
      const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
      const open = [];
      try { while (true) open.push(Deno.openSync(${
    JSON.stringify(path)
  })); } catch { /* no more to be had */ }
      const outcomes = [];
      for (const key of ["${KEY}", "absent"]) {
        try { outcomes.push(String(backend.get(key))); } catch (e) { outcomes.push(e.message); }
      }
      for (const file of open) file.close();
      console.log(JSON.stringify([...outcomes, backend.get("${KEY}").client_id]));
    `;
  const few = ["sh", "-c", 'ulimit -n 100 && exec "$0" "$@"'];
  const wrap = (command: string[]) => [...few, ...command];
  const { stdout } = await runDeno({ code, flags: ["-A"], wrap });
  const many = `Cannot read ${path}: Too many open files (EMFILE). Mend that, or use another path.`;
  assertEquals(JSON.parse(stdout), [many, many, "my-app"]);
});
