// The attacks on an isolated backend's surroundings, each for both forms: the outcome for a Worker is
// asserted also where the attack succeeds, since the documentation says that it does.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { type Form, FORMS, runIsolated } from "../../support/isolated_world.ts";
import { startHttpServer } from "../../support/http_server.ts";
import { tempDir } from "../../support/temp_home.ts";

const ATTACKER = `
const said = (found) => ({ issuer: "i", client_id: "c", access_token: "t", found });
const attempt = async (run) => {
  try { return said(await run() ?? "done"); } catch (e) { return said(e.name + ": " + e.message); }
};
const raw = (text) => globalThis.postMessage
  ? globalThis.postMessage(text)
  : Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
const ok = (id) => JSON.stringify({ id, value: null });
const attacks = {
  signal: () => new Promise((resolve) => {
    const code = 'Deno.kill(Deno.pid, "SIGUSR1"); postMessage(0)';
    new Worker("data:text/javascript," + encodeURIComponent(code), { type: "module" })
      .onmessage = () => setTimeout(() => resolve("sent"), 200);
  }),
  debugger: async () => {
    // Deno opens the inspector at this signal once a process has run for half a second.
    await new Promise((resolve) => setTimeout(resolve, 700));
    Deno.kill(Deno.pid, "SIGUSR1");
    await new Promise((resolve) => setTimeout(resolve, 300));
  },
  parent: () => Deno.kill(Deno.ppid, "SIGUSR1"),
  npm: () => import(["npm:", "fixture-secret-token"].join("")),
  remote: () => import("http://127.0.0.1:PORT/fixture-secret-token.js"),
  fetch: () => fetch("http://127.0.0.1:PORT/fixture-secret-token"),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  stdin: () => {
    const bytes = new Uint8Array(100);
    return new TextDecoder().decode(bytes.subarray(0, Deno.stdin.readSync(bytes)));
  },
  caches: async () => (await caches.open("x")).put("http://x/", new Response("secret")),
  storage: () => localStorage.setItem("k", "secret"),
  kv: async () => (await Deno.openKv()).close(),
  inspector: () => import("node:inspector").then((module) => module.open(0)),
  run: () => new Deno.Command("/bin/sh").outputSync(),
  sys: () => Deno.hostname(),
  ffi: () => Deno.dlopen("/lib/libc.so.6", {}),
  env: () => Deno.env.get("OTHER"),
  environment: () => JSON.stringify(Deno.env.toObject()),
  named: () => Deno.env.get("NAMED") ?? "unset",
  proc: () => Deno.readTextFileSync("/proc/self/environ"),
  output: () => { Deno.stdout.writeSync(new TextEncoder().encode("\\x1b[31mflood\\n")); },
  log: () => { console.log("\\x1b[31mlogged"); console.table([1]); },
  stderr: () => {
    const chunk = new Uint8Array(1 << 20).fill(97);
    for (let i = 0; i < 32; i++) Deno.stderr.writeSync(chunk);
  },
  null: () => raw(null),
  id: () => raw(ok(1e9)),
  prototype: () => raw(ok("__proto__")),
  deep: () => raw("[".repeat(1e6)),
  gibberish: () => raw("{"),
  list: () => raw("[1]"),
  long: () => raw(JSON.stringify({ id: 2, value: "x".repeat(5 << 20) })),
  twice: () => {
    if (globalThis.postMessage) {
      const post = globalThis.postMessage;
      globalThis.postMessage = (text) => { post(text); post(text); };
    } else {
      const write = Deno.stdout.writeSync.bind(Deno.stdout);
      Deno.stdout.writeSync = (bytes) => { write(bytes); return write(bytes); };
    }
  },
  loop: () => { for (;;); },
  silence: () => new Promise(() => setInterval(() => {}, 1000)),
  gigabyte: () => {
    const chunk = new Uint8Array(1 << 20).fill(97);
    for (let i = 0; i < 1024; i++) Deno.stdout.writeSync(chunk);
    for (;;); // without an end of the frame
  },
  exit: () => Deno.exit(0),
};
export class Attacker {
  location = "here";
  get(key) {
    return key === "pid" ? said(Deno.pid) : attempt(attacks[key] ?? (() => "nothing"));
  }
  put() {}
  delete() {}
}
export class Prototype extends Attacker {
  get() {
    return JSON.parse('{"issuer":"i","__proto__":{"polluted":1},"constructor":{"__proto__":2}}');
  }
}
`;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The attack's own account, or the code of the error. */
  readonly found: string;
  /** The same of a harmless call after it. */
  readonly after: string;
  /** How often the main process got the signal. */
  readonly signals: number;
  /** The address of the main process's inspector. */
  readonly inspector?: string;
  /** The paths that were asked for on the loopback server. */
  readonly asked: string[];
}

const MARK = "outcome:";

/** Runs one attack, and a harmless call after it. */
async function attack(form: Form, name: string, more: {
  isolate?: Record<string, unknown>;
  stdin?: string;
  env?: Record<string, string>;
} = {}): Promise<Outcome> {
  await using folder = await tempDir();
  const asked: string[] = [];
  await using server = await startHttpServer((request) => {
    const { pathname } = new URL(request.url);
    if (pathname.includes("secret")) asked.push(pathname);
    return new Response("no", { status: 404 });
  });
  const port = new URL(server.origin).port;
  const isWorker = form === "worker";
  const result = await runIsolated({
    form,
    module: ATTACKER.replaceAll("PORT", port),
    exportName: "Attacker",
    ...more,
    // Deno's own stores are in a folder of the test.
    env: {
      NPM_CONFIG_REGISTRY: server.origin,
      DENO_DIR: folder.path,
      TMPDIR: folder.path,
      OTHER: "other",
      NAMED: "named",
      ...more.env,
    },
    flags: ["-A", "--unstable-kv", ...(isWorker ? ["--unstable-worker-options"] : [])],
    code: `
      let signals = 0;
      // Windows has no such signal.
      if (Deno.build.os !== "windows") Deno.addSignalListener("SIGUSR1", () => void signals++);
      const ask = (key) => backend.get(key).then((e) => e.found, (e) => e.code);
      const found = await ask("${name}");
      if (found === "sent") await new Promise((resolve) => setTimeout(resolve, 100));
      const after = await ask("harmless");
      const inspector = "${name}" === "debugger" && (await import("node:inspector")).url();
      console.log("${MARK}" + JSON.stringify({ found, after, signals, inspector }));
      Deno.exit(0);
    `,
  });
  const at = result.stdout.indexOf(MARK);
  assert(at !== -1, `the main process ended: ${JSON.stringify(result)}`);
  const { code, stderr, stdout } = result;
  return {
    code,
    stderr,
    asked,
    stdout: stdout.slice(0, at),
    ...JSON.parse(stdout.slice(at + MARK.length)),
  };
}

/** Attacks that both forms refuse, by the text of the refusal. */
const REFUSED: Record<string, { worker: string; process: string }> = {
  parent: { worker: "NotCapable: Requires run", process: "NotCapable: Requires run" },
  remote: { worker: "TypeError: Requires import", process: "TypeError: Requires import" },
  fetch: { worker: "NotCapable: Requires net", process: "NotCapable: Requires net" },
  listen: { worker: "NotCapable: Requires net", process: "NotCapable: Requires net" },
  // Deno 2.7 asks for the address first.
  inspector: { worker: "NotCapable: Requires ", process: "NotCapable: Requires " },
  run: { worker: "NotCapable: Requires run", process: "NotCapable: Requires run" },
  sys: { worker: "NotCapable: Requires sys", process: "NotCapable: Requires sys" },
  ffi: { worker: "NotCapable: Requires ffi", process: "NotCapable: Requires ffi" },
  env: { worker: "NotCapable: Requires env", process: "NotCapable: Requires env" },
  environment: { worker: "NotCapable: Requires env", process: "NotCapable: Requires env" },
  proc: { worker: "NotCapable: Requires read", process: "NotCapable: Requires read" },
};

for (const form of FORMS) {
  for (const [name, words] of Object.entries(REFUSED)) {
    Deno.test(`isolate, ${form}: the attack "${name}" is denied`, async () => {
      const { found, after, stdout, stderr, asked } = await attack(form, name);
      assertStringIncludes(found, words[form]);
      assertEquals([after, stdout, stderr, asked], ["nothing", "", "", []]);
    });
  }

  /** The backend's isolate is ended, the main process goes on, and the next call has a new one. */
  const ended: [name: string, code: string][] = [
    ["id", "backend_corrupt"],
    ["prototype", "backend_corrupt"],
    ["deep", "backend_corrupt"],
    ["gibberish", "backend_corrupt"],
    ["list", "backend_corrupt"],
    ["long", "backend_corrupt"],
    ["null", "backend_corrupt"],
  ];
  for (const [name, code] of ended) {
    Deno.test(`isolate, ${form}: the frame "${name}" ends the isolate alone`, async () => {
      const { found, after, stdout, stderr } = await attack(form, name);
      assertEquals([found, after, stdout, stderr], [code, "nothing", "", ""]);
    });
  }

  for (const name of ["loop", "silence"]) {
    Deno.test(`isolate, ${form}: the attack "${name}" ends at the time limit`, async () => {
      const isolate = { callTimeoutMs: 1000 };
      const { found, after, stderr } = await attack(form, name, { isolate });
      assertEquals([found, after, stderr], ["backend_timeout", "nothing", ""]);
    });
  }

  Deno.test(`isolate, ${form}: a module that never loads ends at the time limit`, async () => {
    const { stderr } = await runIsolated({
      form,
      module: "await new Promise(() => setInterval(() => {}, 1000));",
      exportName: "Any",
      isolate: { startTimeoutMs: 1000 },
      code: "",
    });
    assertStringIncludes(stderr, "it did not answer within 1000 ms");
  });

  Deno.test(`isolate, ${form}: a second answer to one request serves nobody`, async () => {
    const { code, stderr, after } = await attack(form, "twice");
    assertEquals([code, stderr], [0, ""]);
    assert(after === "nothing" || after === "backend_corrupt", after);
  });

  Deno.test(`isolate, ${form}: no member of an entry changes a prototype`, async () => {
    const { stdout, stderr } = await runIsolated({
      form,
      module: ATTACKER,
      exportName: "Prototype",
      code: `
        const got = await backend.get("k");
        const copy = Object.assign({}, got);
        console.log(JSON.stringify(got), copy.polluted, ({}).polluted);
      `,
    });
    assertEquals([stdout, stderr], ['{"issuer":"i","constructor":{}} undefined undefined\n', ""]);
  });
}

const isUnix = Deno.build.os !== "windows";

Deno.test({
  name: "isolate, worker: a signal reaches the main process, as the documentation says",
  ignore: !isUnix, // Windows has no such signal
  async fn() {
    const { found, signals } = await attack("worker", "signal");
    assertEquals([found, signals], ["sent", 1]);
  },
});

Deno.test("isolate, process: a signal ends that process alone", async () => {
  const { found, after, signals, stderr } = await attack("process", "signal");
  assertEquals([found, after, signals, stderr], ["backend_unavailable", "nothing", 0, ""]);
});

Deno.test({
  name: "isolate, worker: it opens the inspector of the main process, as the documentation says",
  ignore: !isUnix,
  async fn() {
    const { found, after, stderr, inspector } = await attack("worker", "debugger");
    assertEquals([found, after], ["done", "nothing"]);
    // Another process may have the one port that Deno takes.
    assertMatch(inspector ?? stderr, /^ws:|Failed to start inspector server/);
  },
});

Deno.test({
  name: "isolate, process: it is ended when it would open the inspector, of its own process, too",
  ignore: !isUnix,
  async fn() {
    const { found, after, stderr, signals, inspector } = await attack("process", "debugger");
    assertEquals([found, after, stderr, signals], ["backend_unavailable", "nothing", "", 0]);
    assertEquals(inspector, undefined);
  },
});

Deno.test("isolate, worker: a package's name carries a token out, as the documentation says", async () => {
  const { asked } = await attack("worker", "npm");
  assertEquals(asked, ["/fixture-secret-token"]);
});

Deno.test("isolate, process: no package is asked for", async () => {
  const { found, asked } = await attack("process", "npm");
  assertStringIncludes(found, "--no-npm is specified");
  assertEquals(asked, []);
});

Deno.test("isolate, worker: standard input is open to it, as the documentation says", async () => {
  assertEquals((await attack("worker", "stdin", { stdin: "typed" })).found, "typed");
});

Deno.test("isolate, process: standard input of the main process is out of its reach", async () => {
  const { found, after } = await attack("process", "stdin", {
    stdin: "typed",
    isolate: { callTimeoutMs: 1000 },
  });
  assertEquals([found, after], ["backend_timeout", "nothing"]);
});

for (const [name, refusal] of [["caches", "Failed to create"], ["kv", "not a function"]] as const) {
  Deno.test(`isolate, worker: ${name} is open to it, as the documentation says`, async () => {
    assertEquals((await attack("worker", name)).found, "done");
  });

  Deno.test(`isolate, process: ${name} is closed to it`, async () => {
    assertStringIncludes((await attack("process", name)).found, refusal);
  });
}

Deno.test("isolate, process: localStorage is closed to it", async () => {
  const { found } = await attack("process", "storage");
  assertStringIncludes(found, isUnix ? "Not a directory" : "File already exists");
});

Deno.test("isolate, worker: its output is the main process's, as the documentation says", async () => {
  assertStringIncludes((await attack("worker", "output")).stdout, "\x1b[31mflood");
});

Deno.test("isolate, process: text on its output breaks the protocol, and is not shown", async () => {
  const { found, after, stdout, stderr } = await attack("process", "output");
  assertEquals([found, after, stdout, stderr], ["backend_corrupt", "nothing", "", ""]);
});

Deno.test("isolate, process: its console is silent, and its errors' output is dropped", async () => {
  for (const name of ["log", "stderr"]) {
    const { found, stdout, stderr } = await attack("process", name);
    assertEquals([found, stdout, stderr], ["done", "", ""]);
  }
});

Deno.test("isolate, process: a gigabyte in one frame ends it after 4 MiB", async () => {
  const { found, after, stdout } = await attack("process", "gigabyte", {
    isolate: { callTimeoutMs: 10_000 },
  });
  assertEquals([found, after, stdout], ["backend_corrupt", "nothing", ""]);
});

Deno.test("isolate, process: an end of its own fails the call alone", async () => {
  const { found, after } = await attack("process", "exit");
  assertEquals([found, after], ["backend_unavailable", "nothing"]);
});

Deno.test("isolate, process: it gets the variables that are named, and no other", async () => {
  const isolate = { env: ["NAMED", "UNSET"] };
  assertEquals((await attack("process", "named", { isolate })).found, "named");
  assertStringIncludes((await attack("process", "env", { isolate })).found, "NotCapable");
});

/** A program with a call that loops for ever, and no exit of its own. */
const LOOP = {
  module: ATTACKER,
  exportName: "Attacker",
  isolate: { callTimeoutMs: 500 },
  code: `console.log((await fault(() => backend.get("loop"))).code);`,
  timeoutMs: isUnix ? 4000 : 20_000, // processes start slowly on Windows
};

Deno.test("isolate, worker: a loop keeps the program from its end, as the documentation says", async () => {
  await assertRejects(
    () => runIsolated({ form: "worker", ...LOOP }),
    Error,
    `killed after ${LOOP.timeoutMs} ms`,
  );
});

Deno.test("isolate, process: a loop does not keep the program from its end", async () => {
  const { code, stdout } = await runIsolated({ form: "process", ...LOOP });
  assertEquals([code, stdout], [0, "backend_timeout\n"]);
});

Deno.test("isolate, process: with `import`, caches are open to it, as the documentation says", async () => {
  const isolate = { import: ["jsr.io:443"] };
  assertEquals((await attack("process", "caches", { isolate })).found, "done");
});

for (const name of ["remote", "npm"]) {
  Deno.test(`isolate, process: with \`import\` of all hosts, the attack "${name}" asks no host`, async () => {
    const { found, asked } = await attack("process", name, { isolate: { import: true } });
    assert(/--cached-only|--no-npm/.test(found), found);
    assertEquals(asked, []);
  });
}
