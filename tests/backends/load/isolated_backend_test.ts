import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type ProcessResult, runDeno } from "../../support/deno_process.ts";
import { startJsrRegistry } from "../../support/jsr_registry.ts";
import { tempDir } from "../../support/temp_home.ts";

/** Keeps entries in one file, and says of everything else that it tries what came of it. */
const HOSTILE = `
export class Hostile {
  #path;
  persistent = true;
  constructor({ path }) { this.#path = path; }
  get location() { return this.#path; }
  #rows() { try { return JSON.parse(Deno.readTextFileSync(this.#path)); } catch { return {}; } }
  #save(rows) { Deno.writeTextFileSync(this.#path, JSON.stringify(rows)); }
  async get(key) {
    if (key !== "attack") return this.#rows()[key];
    const tries = {
      read: () => Deno.readTextFileSync("/etc/passwd"),
      write: () => Deno.writeTextFileSync(this.#path + ".stolen", "x"),
      env: () => Deno.env.get("HOME"),
      connect: () => Deno.connect({ hostname: "127.0.0.1", port: PORT }),
      fetch: () => fetch("http://127.0.0.1:PORT/", { signal: AbortSignal.timeout(50) }),
      run: () => new Deno.Command("id").outputSync(),
      ffi: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}),
      worker: () => new Worker("data:text/javascript,0", {
        type: "module", deno: { permissions: { read: true } },
      }).terminate(),
    };
    const found = {};
    for (const [name, attack] of Object.entries(tries)) {
      try { await attack(); found[name] = "done"; } catch (error) { found[name] = error.name; }
    }
    return { issuer: "i", client_id: "c", access_token: "t", found };
  }
  put(key, entry) { this.#save({ ...this.#rows(), [key]: entry }); }
  delete(key) { const rows = this.#rows(); delete rows[key]; this.#save(rows); }
  async *list() { yield* Object.keys(this.#rows()); }
  async withLock(key, fn, { signal } = {}) {
    for (;;) {
      signal?.throwIfAborted();
      try { Deno.mkdirSync(this.#path + ".lock"); break; } catch (error) {
        if (error.name !== "AlreadyExists") throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    try { return await fn(); } finally { Deno.removeSync(this.#path + ".lock"); }
  }
}
export class Deaf extends Hostile {
  withLock(key, fn) { return super.withLock(key, fn); }
  async get(key) {
    if (key === "slow") await new Promise((resolve) => setTimeout(resolve, 50));
    return await super.get(key);
  }
}
export class Rude extends Hostile {
  get location() { return "\\x1b[31mhttps://ana:pw@host/x?token=fixture-secret-token"; }
  get(key) {
    if (key === "null") {
      for (const odd of [null, undefined, 0, "x", [], {}, { id: null }, { id: 1e9, value: 1 }]) postMessage(odd);
      return { issuer: "i", client_id: "c", access_token: "t" };
    }
    if (key === "text") return "no object";
    const error = new Error("Cannot use \\x1b[31m: no. Ask.");
    error.name = key === "name" ? "\\x1b[31mfixture-secret-token" : "CredentialsBackendError";
    throw Object.assign(error, { code: "backend_denied" });
  }
  put(key, entry) {
    const error = new Error("Cannot store " + entry.access_token.slice(3) + " at all: no. Ask.");
    error.name = "CredentialsBackendError";
    throw Object.assign(error, { code: "\\x1b[31m" });
  }
  async *list() { yield 7; }
}
export class Leaky {
  get() { throw new Error("cannot parse fixture-secret-token"); }
  put() {}
  delete() {}
}
`;

interface Trial {
  code: string;
  flags?: string[];
  exportName?: string;
}

/** Runs code that has \`backend\`, isolated with read and write of the store's own paths alone. */
async function runIsolated({ code, flags, exportName = "Hostile" }: Trial): Promise<ProcessResult> {
  await using folder = await tempDir();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const module = `${folder.path}/hostile.js`;
  await Deno.writeTextFile(module, HOSTILE.replaceAll("PORT", String(listener.addr.port)));
  const store = `${folder.path}/store.json`;
  const own = [store, `${store}.lock`];
  return await runDeno({
    flags: flags ?? ["-A", "--unstable-worker-options"],
    env: {
      HOME: folder.path,
      VM_OIDC_CREDENTIALS_BACKEND: `${module}:${exportName}`,
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: store }),
    },
    code: `
      import { loadBackendFromEnv } from "@validmind/auth";
      const isolate = ${JSON.stringify({ read: [module, ...own], write: own })};
      const backend = (await loadBackendFromEnv({ isolate }))!;
      const entry = { issuer: "i", client_id: "c", access_token: "t" };
      ${code}
    `,
  });
}

Deno.test("an isolated backend reaches its own store, and a process that uses it ends", async () => {
  const { code, stdout, stderr } = await runIsolated({
    code: `
      await backend.put("a", entry);
      await backend.put("b", { ...entry, x: [1, null] });
      await backend.delete("a");
      const listed = await Array.fromAsync(backend.list!());
      console.log(JSON.stringify([await backend.get("a") ?? null, await backend.get("b"), listed]));
      console.log(backend.persistent, backend.location!.endsWith("store.json, in a Worker"));
    `,
  });
  assertEquals(stderr, "");
  const row = `{"issuer":"i","client_id":"c","access_token":"t","x":[1,null]}`;
  assertEquals(stdout, `[null,${row},["b"]]\ntrue true\n`);
  assertEquals(code, 0);
});

Deno.test("an isolated backend can neither read, write, connect, run nor look around", async () => {
  const attack = `console.log(JSON.stringify((await backend.get("attack"))!.found));`;
  const { stdout, stderr } = await runIsolated({ code: attack });
  assertEquals(stderr, "");
  const { fetch, worker, ...found } = JSON.parse(stdout) as Record<string, string>;
  const denied = ["read", "write", "env", "connect", "run", "ffi"];
  assertEquals(found, Object.fromEntries(denied.map((name) => [name, "NotCapable"])));
  assert(fetch !== "done" && worker !== "done", JSON.stringify({ fetch, worker }));
});

Deno.test("the same backend, not isolated, can do it all: the test above can fail", async () => {
  const { stdout } = await runIsolated({
    code: `
      const free = (await loadBackendFromEnv())!;
      console.log(JSON.stringify((await free.get("attack"))!.found));
    `,
  });
  const { read, write, env, connect, run } = JSON.parse(stdout) as Record<string, string>;
  assertEquals([read, write, env, connect, run], ["done", "done", "done", "done", "done"]);
});

Deno.test("an isolated backend's lock excludes, is released on a throw, and can be waited out", async () => {
  const { stdout, stderr } = await runIsolated({
    code: `
      let inside = 0, overlaps = 0;
      const hold = async () => {
        overlaps += inside++;
        await backend.put("k", entry);
        inside--;
      };
      await Promise.all([1, 2, 3].map(() => backend.withLock!("k", hold)));
      const thrown = await backend.withLock!("k", () => Promise.reject("fault")).catch((e) => e);
      const abort = new AbortController();
      const ended = await backend.withLock!("k", async () => {
        const waiting = backend.withLock!("k", hold, { signal: abort.signal }).catch((e) => e);
        abort.abort("enough");
        return await waiting;
      });
      await backend.withLock!("k", hold);
      console.log(overlaps, thrown, ended);
    `,
  });
  assertEquals([stdout, stderr], ["0 fault enough\n", ""]);
});

Deno.test("a lock that an isolated backend takes after its waiter left is given back", async () => {
  const { stdout, stderr } = await runIsolated({
    exportName: "Deaf",
    code: `
      const abort = new AbortController();
      let slow; // keeps the Worker until the second lock has been had in it
      const ended = await backend.withLock!("k", async () => {
        const waiting = backend.withLock!("k", () => Promise.resolve(), { signal: abort.signal })
          .catch((e) => e);
        await backend.get("k"); // the Worker has been asked for the second lock, too
        abort.abort("enough");
        slow = backend.get("slow");
        return await waiting;
      });
      await slow;
      const signal = AbortSignal.timeout(2000);
      console.log(ended, await backend.withLock!("k", () => Promise.resolve("free"), { signal }));
    `,
  });
  assertEquals([stdout, stderr], ["enough free\n", ""]);
});

Deno.test("an isolated backend's own words stay in the Worker, unless they are coded", async () => {
  const { stdout } = await runIsolated({
    exportName: "Leaky",
    code: `
      const error = await Promise.try(() => backend.get("k")).catch((e) => e);
      console.log(error.code, Deno.inspect(error).includes("fixture-secret"));
    `,
  });
  assertEquals(stdout, "backend_unavailable false\n");
});

Deno.test("whatever an isolated backend posts, the main process goes on and shows it plainly", async () => {
  const { code, stdout, stderr } = await runIsolated({
    exportName: "Rude",
    code: `
      console.log(JSON.stringify(backend.location), (await backend.get("null"))?.client_id);
      const fault = async (run) => {
        const error = await Promise.try(run).catch((e) => e);
        console.log(error.code, JSON.stringify(error.message));
      };
      await fault(() => backend.get("text"));
      await fault(() => Array.fromAsync(backend.list()));
      await fault(() => backend.get("coded"));
      await fault(() => backend.get("name"));
      await fault(() => backend.put("k", { ...entry, access_token: "fixture-secret-token" }));
    `,
  });
  assertEquals([code, stderr], [0, ""]);
  assert(!/\\u001b|secret|pw@/.test(stdout), stdout);
  const lines = stdout.trim().split("\n");
  assertEquals(lines[0], '"[31mhttps://host/x?…, in a Worker" c');
  assertEquals(lines.slice(1).map((line) => line.split(" ")[0]), [
    "backend_corrupt",
    "backend_corrupt",
    "backend_denied",
    "backend_unavailable",
    "backend_unavailable",
  ]);
});

Deno.test("what is wrong with an isolated backend's module is told as ever", async () => {
  const run = (exportName: string) =>
    runIsolated({ exportName, code: "" }).then(({ stderr }) => stderr);
  assertStringIncludes(await run("Nobody"), "the module exports Deaf, Hostile, Leaky, Rude");
});

Deno.test("without --unstable-worker-options Deno ends the process and names the flag", async () => {
  const { code, stderr } = await runIsolated({ code: "", flags: ["-A"] });
  assertEquals(code, 70);
  assertStringIncludes(stderr, "`--unstable-worker-options` flag must be provided");
});

Deno.test("a backend from JSR is isolated by a package from JSR", async () => {
  await using registry = await startJsrRegistry();
  await registry.add({
    name: "@acme/hostile",
    version: "1.0.0",
    exports: { ".": "./mod.js" },
    files: { "mod.js": HOSTILE.replaceAll("PORT", "9") },
  });
  await using folder = await tempDir();
  const store = `${folder.path}/store.json`;
  const script = `${folder.path}/script.ts`;
  await Deno.writeTextFile(
    script,
    `
      import { loadBackendFromEnv } from "jsr:@validmind/auth";
      const isolate = {
        read: ["${store}"],
        write: ["${store}"],
        import: ["${new URL(registry.url).host}"],
      };
      const backend = (await loadBackendFromEnv({ isolate }))!;
      await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
      console.log((await backend.get("k"))!.client_id, (await backend.get("attack"))!.found.read);
    `,
  );
  const { stdout, stderr } = await runDeno({
    file: script,
    flags: ["-A", "--unstable-worker-options"],
    config: false,
    cwd: folder.path,
    env: {
      ...registry.env,
      VM_OIDC_CREDENTIALS_BACKEND: "jsr:@acme/hostile:Hostile",
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: store }),
    },
  });
  assertEquals([stdout, stderr], ["c NotCapable\n", ""]);
});
