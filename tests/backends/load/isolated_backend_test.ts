import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Form, FORMS, runIsolated } from "../../support/isolated_world.ts";
import { DENO, type ProcessResult, runDeno } from "../../support/deno_process.ts";
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
    if (key === "spin") for (;;);
    if (key !== "attack") return this.#rows()[key];
    const tries = {
      read: () => Deno.readFileSync(${JSON.stringify(DENO)}),
      write: () => Deno.writeTextFileSync(this.#path + ".stolen", "x"),
      env: () => Deno.env.get("HOME"),
      connect: () => Deno.connect({ hostname: "127.0.0.1", port: PORT }),
      fetch: () => fetch("http://127.0.0.1:PORT/", { signal: AbortSignal.timeout(50) }),
      run: () => new Deno.Command(${JSON.stringify(DENO)}, { args: ["--version"] }).outputSync(),
      ffi: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}),
      worker: () => globalThis.postMessage && new Worker("data:text/javascript,0", {
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
    if (key === "text") return "no object";
    const error = new Error("Cannot use \\x1b[31m: no. Ask.");
    error.name = key === "name" ? "\\x1b[31mfixture-secret-token" : "CredentialsBackendError";
    throw Object.assign(error, { code: key === "unknown" ? "backend_evil" : "backend_denied" });
  }
  put(key, entry) {
    const error = new Error("Cannot store " + entry.access_token.slice(3) + " at all: no. Ask.");
    error.name = "CredentialsBackendError";
    throw Object.assign(error, { code: "\\x1b[31m" });
  }
  async *list() { yield 7; }
}
export class Broken { constructor() { throw new Error("broken"); } }
export const arrow = () => 7;
export class Space {
  #reserved = new Set();
  get() { return { issuer: "i", client_id: "c", access_token: "t", reserved: [...this.#reserved] }; }
  put() {}
  delete() {}
  reserve(key, bytes) {
    if (key === "full") throw Object.assign(new Error("Full."), { name: "CredentialsBackendError", code: "backend_full" });
    const one = key + ":" + bytes;
    this.#reserved.add(one);
    return { [Symbol.asyncDispose]: async () => void this.#reserved.delete(one) };
  }
}
export class Echo {
  #token;
  get(key) {
    if (key === "own") {
      this.#token = "Zq9wErTy81uIoP-aSdF";
      return { issuer: "i", client_id: "c", access_token: this.#token };
    }
    const text = "Cannot: " + this.#token + " and " + btoa(this.#token) + " end";
    throw Object.assign(new Error(text), { name: "CredentialsBackendError", code: "backend_full" });
  }
  put(key, entry) { this.#token = entry.access_token; }
  delete() {}
  withLock(key, fn) { return fn(); }
}
export class Leaky {
  get() { throw new Error("cannot parse fixture-secret-token"); }
  put() {}
  delete() {}
}
`;

/** The words for the place of each form. */
const PLACES = { worker: "Worker", process: "process" } as const;

interface Trial {
  code: string;
  form?: Form;
  flags?: string[];
  exportName?: string;
  isolate?: Record<string, unknown>;
}

/** Runs code that has `backend`, isolated with read and write of the store's own paths alone. */
async function runHostile(
  { code, flags, form = "worker", exportName = "Hostile", isolate }: Trial,
): Promise<ProcessResult> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const module = HOSTILE.replaceAll("PORT", String(listener.addr.port));
  return await runIsolated({
    form,
    module,
    exportName,
    code,
    ...(flags && { flags }),
    ...(isolate && { isolate }),
  });
}

Deno.test("the same backend, not isolated, can do it all: the test above can fail", async () => {
  const { stdout } = await runHostile({
    code: `
      const free = (await loadBackendFromEnv())!;
      console.log(JSON.stringify((await free.get("attack"))!.found));
    `,
  });
  const { read, write, env, connect, run } = JSON.parse(stdout) as Record<string, string>;
  assertEquals([read, write, env, connect, run], ["done", "done", "done", "done", "done"]);
});

for (const form of FORMS) {
  Deno.test(`isolate, ${form}: an isolated backend reaches its own store, and a process that uses it ends`, async () => {
    const { code, stdout, stderr } = await runHostile({
      form,
      code: `
      await backend.put("a", entry);
      await backend.put("b", { ...entry, x: [1, null] });
      await backend.delete("a");
      const listed = await Array.fromAsync(backend.list!());
      console.log(JSON.stringify([await backend.get("a") ?? null, await backend.get("b"), listed]));
      console.log(backend.persistent, backend.location!.endsWith("store.json, in a ${
        PLACES[form]
      }"));
    `,
    });
    assertEquals(stderr, "");
    const row = `{"issuer":"i","client_id":"c","access_token":"t","x":[1,null]}`;
    assertEquals(stdout, `[null,${row},["b"]]\ntrue true\n`);
    assertEquals(code, 0);
  });

  Deno.test(`isolate, ${form}: an isolated backend can neither read, write, connect, run nor look around`, async () => {
    const attack = `console.log(JSON.stringify((await backend.get("attack"))!.found));`;
    const { stdout, stderr } = await runHostile({ form, code: attack });
    assertEquals(stderr, "");
    const { fetch, worker, ...found } = JSON.parse(stdout) as Record<string, string>;
    const denied = ["read", "write", "env", "connect", "run", "ffi"];
    assertEquals(found, Object.fromEntries(denied.map((name) => [name, "NotCapable"])));
    assert(
      fetch !== "done" && (worker !== "done" || form === "process"),
      JSON.stringify({ fetch, worker }),
    );
  });

  Deno.test(`isolate, ${form}: an isolated backend's lock excludes, is released on a throw, and can be waited out`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
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

  Deno.test(`isolate, ${form}: a lock that an isolated backend takes after its waiter left is given back`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
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

  Deno.test(`isolate, ${form}: an isolated backend's own words stay in it, unless they are coded`, async () => {
    const { stdout } = await runHostile({
      form,
      exportName: "Leaky",
      code: `
      const error = await Promise.try(() => backend.get("k")).catch((e) => e);
      console.log(error.code, Deno.inspect(error).includes("fixture-secret"));
    `,
    });
    assertEquals(stdout, "backend_unavailable false\n");
  });

  Deno.test(`isolate, ${form}: whatever a backend answers, the main process goes on and shows it plainly`, async () => {
    const { code, stdout, stderr } = await runHostile({
      form,
      exportName: "Rude",
      code: `
      console.log(JSON.stringify(backend.location));
      const show = async (run) => {
        const { code, message } = await fault(run);
        console.log(code, JSON.stringify(message));
      };
      await show(() => backend.get("text"));
      await show(() => Array.fromAsync(backend.list()));
      await show(() => backend.get("coded"));
      await show(() => backend.get("name"));
      await show(() => backend.get("unknown"));
      await show(() => backend.put("k", { ...entry, access_token: "fixture-secret-token" }));
    `,
    });
    assertEquals([code, stderr], [0, ""]);
    assert(!/\\u001b|secret|pw@/.test(stdout), stdout);
    const lines = stdout.trim().split("\n");
    assertEquals(lines[0], `"[31mhttps://host/x?…, in a ${PLACES[form]}"`);
    assertEquals(lines.slice(1).map((line) => line.split(" ")[0]), [
      "backend_corrupt",
      "backend_corrupt",
      "backend_denied",
      "backend_unavailable",
      "backend_unavailable",
      "backend_unavailable",
    ]);
  });

  Deno.test(`isolate, ${form}: what is wrong with an isolated backend's module is told as ever`, async () => {
    const run = (exportName: string) =>
      runHostile({ form, exportName, code: "" }).then(({ stderr }) => stderr);
    assertStringIncludes(
      await run("Nobody"),
      "the module exports Broken, Deaf, Echo, Hostile, Leaky, Rude, Space, arrow",
    );
  });

  Deno.test(`isolate, ${form}: a module that does not give a backend is an error, as ever`, async () => {
    const run = async (exportName: string) =>
      (await runHostile({ form, exportName, code: "" })).stderr;
    assertStringIncludes(await run("arrow"), "it is not a class");
    assertStringIncludes(await run("Broken"), "its constructor failed");
  });

  Deno.test(`isolate, ${form}: a later error shows no piece of an earlier entry`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
      exportName: "Echo",
      code: `
      await backend.withLock!("k", async () => {
        await backend.put("k", { ...entry, access_token: "fixture-secret-token" });
        console.log((await fault(() => backend.get("k"))).message);
        await backend.get("own");
        console.log((await fault(() => backend.get("k"))).message);
      });
    `,
    });
    assertEquals(stderr, "");
    assert(/^Cannot: \[removed\].*\nCannot: \[removed\].*\n$/.test(stdout), stdout);
    assert(!/fixture|secret|token|Zml4dHVyZS/.test(stdout), stdout);
  });

  Deno.test(`isolate, ${form}: a reservation is kept until its end, and ends once`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
      exportName: "Space",
      code: `
      const reservation = await backend.reserve!("k", 7);
      console.log((await backend.get("k")).reserved.join());
      await reservation[Symbol.asyncDispose]();
      await reservation[Symbol.asyncDispose]();
      const { code } = await fault(() => backend.reserve!("full", 7));
      console.log((await backend.get("k")).reserved.join(), code);
    `,
    });
    assertEquals([stdout, stderr], ["k:7\n backend_full\n", ""]);
  });

  Deno.test(`isolate, ${form}: a lock that is not given is backend_locked after the limit`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
      isolate: { lockTimeoutMs: 200 },
      code: `
      await backend.withLock!("k", async () => {
        const { code } = await fault(() => backend.withLock!("k", () => Promise.resolve()));
        console.log(code, (await fault(() => backend.get("k"))).code);
      });
    `,
    });
    assertEquals([stdout, stderr], ["backend_locked none\n", ""]);
  });

  Deno.test(`isolate, ${form}: a request that is too long is refused before it is sent`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
      code: `
      const huge = { ...entry, x: "x".repeat(2 << 20) };
      console.log((await fault(() => backend.put("k", huge))).code, await backend.get("k"));
    `,
    });
    assertEquals([stdout, stderr], ["backend_too_large undefined\n", ""]);
  });

  Deno.test(`isolate, ${form}: what is done under a lock fails once the lock is lost`, async () => {
    const { stdout, stderr } = await runHostile({
      form,
      isolate: { callTimeoutMs: 1000 },
      code: `
      const { code } = await fault(() => backend.withLock!("k", async () => {
        console.log((await fault(() => backend.get("spin"))).code);
        console.log((await fault(() => backend.put("k", entry))).code);
      }));
      console.log(code, await backend.get("k"));
      Deno.exit(0); // the loop of a Worker goes on
    `,
    });
    const lost = "backend_timeout\n";
    assertEquals([stdout, stderr], [`${lost}${lost}backend_timeout undefined\n`, ""]);
  });
}

Deno.test("without --unstable-worker-options Deno ends the process and names the flag", async () => {
  const { code, stderr } = await runHostile({ code: "", flags: ["-A"] });
  assertEquals(code, 70);
  assertStringIncludes(stderr, "`--unstable-worker-options` flag must be provided");
});

for (const form of FORMS) {
  Deno.test(`isolate, ${form}: a backend from JSR is isolated by a package from JSR`, async () => {
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
        as: "${form}",
        read: [${JSON.stringify(store)}],
        write: [${JSON.stringify(store)}],
        import: ["${new URL(registry.url).host}"],
      };
      const backend = await loadBackendFromEnv({ isolate }).catch((error) => error);
      if (backend instanceof Error) {
        console.log(backend.code);
      } else {
        await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
        console.log((await backend.get("k"))!.client_id, (await backend.get("attack"))!.found.read);
      }
    `,
    );
    const flags = form === "worker" ? ["-A", "--unstable-worker-options"] : ["-A"];
    const env = {
      ...registry.env,
      VM_OIDC_CREDENTIALS_BACKEND: "jsr:@acme/hostile:Hostile",
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: store }),
    };
    const run = (file: string) => runDeno({ file, flags, config: false, cwd: folder.path, env });
    if (form === "process") {
      const { stdout } = await run(script);
      assertEquals(stdout, "backend_import_failed\n"); // not in the cache, and not asked for
      const filler = `${folder.path}/filler.ts`;
      await Deno.writeTextFile(filler, `import "jsr:@acme/hostile";`);
      await run(filler);
    }
    const { stdout, stderr } = await run(script);
    assertEquals([stdout, stderr], ["c NotCapable\n", ""]);
  });
}
