import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  denoExecutable,
  processArguments,
  processVariables,
} from "../../../backends/load/isolated_transport.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { runIsolated } from "../../support/isolated_world.ts";
import { DENO, findDenoDir, runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";

const MODULE = `
export class Store {
  persistent = true;
  location = "here";
  #rows = {};
  get(key) {
    if (key === "pid") return { issuer: "i", client_id: "c", access_token: "t", pid: Deno.pid };
    if (key === "loop") for (;;);
    if (key === "stop") Deno.kill(Deno.pid, "SIGSTOP");
    return this.#rows[key];
  }
  put(key, entry) { this.#rows[key] = entry; }
  delete(key) { delete this.#rows[key]; }
}
`;

const CODE = `
  /** Whether a process is there. A dead child of another process may stay as a zombie. */
  const lives = (pid) => {
    try {
      return !/\\) Z/.test(Deno.readTextFileSync("/proc/" + pid + "/stat"));
    } catch {
      return false;
    }
  };
`;

Deno.test("an isolated process is started once, and keeps its memory until close", async () => {
  const { code, stdout, stderr } = await runIsolated({
    form: "process",
    module: MODULE,
    exportName: "Store",
    code: `
      const pid = async () => (await backend.get("pid")).pid;
      const first = await pid();
      await backend.put("k", entry);
      console.log(first === await pid(), (await backend.get("k")).client_id, first === Deno.pid);
      await backend.close();
      console.log(await backend.get("k"), first === await pid());
    `,
  });
  assertEquals([code, stdout, stderr], [0, "true c false\nundefined false\n", ""]);
});

Deno.test({
  name: "an isolated process has ended when close() has, also in an endless loop or stopped",
  ignore: Deno.build.os !== "linux", // reads /proc
  fn: async () => {
    const { stdout, stderr } = await runIsolated({
      form: "process",
      module: MODULE,
      exportName: "Store",
      code: `
        ${CODE}
        const { pid } = await backend.get("pid");
        const before = lives(pid);
        const waiting = fault(() => backend.get("loop"));
        await backend.close();
        console.log(before, lives(pid), (await waiting).code);
        const { pid: next } = await backend.get("pid");
        const stopped = fault(() => backend.get("stop"));
        await backend.close();
        console.log(lives(next), (await stopped).code);
      `,
    });
    assertEquals([stdout, stderr], [
      "true false backend_unavailable\nfalse backend_unavailable\n",
      "",
    ]);
  },
});

/** The pid of the isolated process of a program that has been killed. */
async function orphan(use: string): Promise<number> {
  await using folder = await tempDir();
  const module = `${folder.path}/backend.js`;
  await Deno.writeTextFile(module, MODULE);
  const { stdout } = await runDeno({
    code: `
      import { loadBackendFromEnv } from "@validmind/auth";
      const backend = await loadBackendFromEnv({ isolate: { as: "process", read: [${
      JSON.stringify(module)
    }] } });
      console.log((await backend.get("pid")).pid);
      ${use}
      setTimeout(() => Deno.kill(Deno.pid, "SIGKILL"), 100);
    `,
    flags: ["-A"],
    env: { VM_OIDC_CREDENTIALS_BACKEND: `${module}:Store` },
  });
  return Number(stdout);
}

for (
  const [state, use] of [["idle", ""], ["in an endless loop", `backend.get("loop");`]] as const
) {
  Deno.test({
    name: `an isolated process that is ${state} ends when its parent is killed`,
    ignore: Deno.build.os !== "linux", // reads /proc
    fn: async () => assertEquals(await ends(await orphan(use)), true),
  });
}

Deno.test({
  name: "an isolated process that has stopped itself stays, as the documentation says",
  ignore: Deno.build.os !== "linux", // reads /proc
  fn: async () => {
    const pid = await orphan(`backend.get("stop");`);
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    Deno.kill(pid, "SIGKILL");
    assertStringIncludes(stat, ") T ");
    assertEquals(await ends(pid), true);
  },
});

/** Whether a process ends within some seconds. A zombie, whose parent does not ask for it, has ended. */
async function ends(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 200; tries++) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => undefined);
    if (stat === undefined || /\) Z/.test(stat)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

const isWindows = Deno.build.os === "windows";

Deno.test("an isolated process gets these flags and variables, and no other", () => {
  const grant = { read: ["/data", new URL("file:///a%20b")], net: true, env: ["UNSET_FOR_TEST"] };
  const args = processArguments(grant);
  assertEquals(args.slice(0, -1), [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--node-modules-dir=none",
    "--no-code-cache",
    "--deny-run",
    "--deny-sys",
    "--deny-ffi",
    "--no-remote",
    "--deny-import",
    `--allow-read=/data,${isWindows ? "\\" : "/"}a b`,
    "--allow-net",
    "--allow-env=UNSET_FOR_TEST",
  ]);
  assertEquals(args.at(-1)!.startsWith("data:text/javascript,"), true);
  const nowhere = isWindows ? `${DENO}\\none` : "/dev/null/none"; // in a file
  assertEquals(processVariables(grant), {
    ...isWindows && { SystemRoot: Deno.env.get("SystemRoot"), TEMP: nowhere, TMP: nowhere },
    TMPDIR: nowhere,
    NO_COLOR: "1",
    DENO_NO_PACKAGE_JSON: "1",
    DENO_NO_UPDATE_CHECK: "1",
    DENO_DIR: nowhere,
  });
});

Deno.test("with `import`, an isolated process takes modules from Deno's cache, and asks no host", () => {
  const args = processArguments({ import: ["jsr.io:443"] });
  assertEquals(args.slice(-3, -1), ["--cached-only", "--allow-import=jsr.io:443"]);
  assertEquals(args.includes("--no-remote"), false);
});

Deno.test("without --allow-run of Deno, the error names the flag and says what it amounts to", async () => {
  await using folder = await tempDir();
  const module = `${folder.path}/backend.js`;
  await Deno.writeTextFile(module, MODULE);
  const { stdout, stderr } = await runDeno({
    flags: ["--allow-env", `--allow-read=${folder.path}`],
    env: { VM_OIDC_CREDENTIALS_BACKEND: `${module}:Store` },
    code: `
      import { loadBackendFromEnv } from "@validmind/auth";
      await loadBackendFromEnv({ isolate: { as: "process", read: [${JSON.stringify(module)}] } })
        .catch((e) => console.log(e.code, e.message));
    `,
  });
  assertStringIncludes(stdout, `permission_required Cannot start the isolated`);
  assertStringIncludes(stdout, `--allow-run=${DENO}, which amounts to every permission`);
  assertEquals(stderr, "");
});

Deno.test("an isolated process needs --allow-run of Deno alone, beside what the setting needs", async () => {
  await using folder = await tempDir();
  const module = `${folder.path}/backend.js`;
  await Deno.writeTextFile(module, MODULE);
  const { stdout, stderr } = await runDeno({
    flags: [
      "--allow-env=VM_OIDC_NO_PERSIST,VM_OIDC_DENO_CREDENTIALS_BACKEND," +
      "VM_OIDC_CREDENTIALS_BACKEND,VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
      `--allow-run=${DENO}`,
    ],
    env: { VM_OIDC_CREDENTIALS_BACKEND: `${module}:Store`, DENO_DIR: findDenoDir() },
    code: `
      import { loadBackendFromEnv } from "@validmind/auth";
      const backend = await loadBackendFromEnv({ isolate: { as: "process", read: [${
      JSON.stringify(module)
    }] } });
      console.log(await backend.get("k"), JSON.stringify(backend.requiredPermissions().map((p) => p.name)));
    `,
  });
  assertEquals([stdout, stderr], ['undefined ["run"]\n', ""]);
});

Deno.test("a compiled program has no Deno to run: it is not started a second time", () => {
  assertEquals(denoExecutable("/usr/bin/deno", false), "/usr/bin/deno");
  assertEquals(denoExecutable("C:\\\\bin\\\\deno.exe", false), "C:\\\\bin\\\\deno.exe");
  for (const [path, isCompiled] of [["/srv/deno-tool", true], ["/srv/report", false]] as const) {
    const error = assertThrows(() => denoExecutable(path, isCompiled), CredentialsBackendError);
    assertEquals(error.code, "backend_unavailable");
    assertStringIncludes(error.message, "a compiled program has no Deno executable");
  }
});
