import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DENO } from "../../../support/deno_process.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { CLI, cliWorld } from "../cli_world.ts";

const ignore = Deno.build.os !== "linux";
const hasSetpriv = ["/usr/bin/setpriv", "/bin/setpriv"].some((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Runs `jupyter` in an empty home, where no variable leads to another folder of Jupyter. */
async function jupyterWorld() {
  const world = await cliWorld();
  const none = { JUPYTER_DATA_DIR: "", XDG_DATA_HOME: "", VIRTUAL_ENV: "", CONDA_PREFIX: "" };
  const kernels = `${world.home}/.local/share/jupyter/kernels`;
  return {
    home: world.home,
    kernels,
    run: (args: string[], env: Record<string, string> = {}) =>
      world.run(["jupyter", ...args], { env: { ...none, ...env } }),
    spec: (path: string) => JSON.parse(Deno.readTextFileSync(`${path}/kernel.json`)),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

Deno.test({
  name: "jupyter install: writes the kernel of this Deno, which ends with its server",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    const issuer = "VM_OIDC_ISSUER=https://login.example.com/a=b";
    const home = "DATA=${HOME}/data";
    const { code, stdout, stderr } = await world.run(["install", "--env", issuer, "--env", home]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(
      stdout,
      `Wrote ${world.kernels}/deno/kernel.json: choose the kernel "Deno" in Jupyter.\n`,
    );
    const spec = world.spec(`${world.kernels}/deno`);
    assertEquals(spec.argv.slice(-5), [DENO, "jupyter", "--kernel", "--conn", "{connection_file}"]);
    if (hasSetpriv) assertEquals(spec.argv.slice(1, 4), ["--pdeathsig", "TERM", "--"]);
    assertEquals([spec.language, spec.display_name], ["typescript", "Deno"]);
    assertEquals(spec.env, {
      VM_OIDC_ISSUER: "https://login.example.com/a=b",
      DATA: "${HOME}/data",
    });
    assertEquals("interrupt_mode" in spec, false);
    // Once more: what is there is not replaced by accident, and never through a link.
    const path = `${world.kernels}/deno/kernel.json`;
    const again = await world.run(["install"]);
    assertEquals([again.code, again.stdout], [2, ""]);
    assertStringIncludes(again.stderr, `Cannot write ${path}: there is a kernel of this name.`);
    await Deno.writeTextFile(`${world.home}/other.json`, "mine");
    await Deno.remove(path);
    await Deno.symlink(`${world.home}/other.json`, path);
    assertEquals((await world.run(["install"])).code, 2);
    assertEquals((await world.run(["install", "--replace"])).code, 0);
    assertEquals(await Deno.readTextFile(`${world.home}/other.json`), "mine");
    assertEquals(Deno.lstatSync(path).isFile, true);
    assertEquals([...Deno.readDirSync(`${world.kernels}/deno`)].length, 1);
  },
});

Deno.test({
  name: "jupyter install: on Windows, the path is as Windows writes it",
  ignore: Deno.build.os !== "windows",
  fn: async () => {
    await using world = await jupyterWorld();
    const args = ["install", "--dry-run", "--json"];
    const data = await world.run(args, { APPDATA: "C:\\data" });
    assertEquals(JSON.parse(data.stdout).path, "C:\\data\\jupyter\\kernels\\deno\\kernel.json");
    const prefix = await world.run([...args, "--prefix", "C:\\hub"]);
    assertEquals(
      JSON.parse(prefix.stdout).path,
      "C:\\hub\\share\\jupyter\\kernels\\deno\\kernel.json",
    );
  },
});

Deno.test({
  name: "jupyter install: looks for the folder where Jupyter does",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    const { home } = world;
    const place = async (args: string[], env: Record<string, string> = {}) => {
      const run = await world.run(["install", "--dry-run", "--json", ...args], env);
      assertEquals(run.code, 0, run.stderr);
      const { path, written } = JSON.parse(run.stdout);
      assertEquals(written, false);
      return path;
    };
    assertEquals(await place([]), `${home}/.local/share/jupyter/kernels/deno/kernel.json`);
    assertEquals(await place([], { XDG_DATA_HOME: "/x" }), "/x/jupyter/kernels/deno/kernel.json");
    assertEquals(await place([], { JUPYTER_DATA_DIR: "/j" }), "/j/kernels/deno/kernel.json");
    assertEquals(
      await place(["--prefix", "/opt/hub", "--name", "team"]),
      "/opt/hub/share/jupyter/kernels/team/kernel.json",
    );
    assertEquals(
      await place(["--sys-prefix", "--narrow"], { CONDA_PREFIX: "/c", VIRTUAL_ENV: "/v" }),
      "/v/share/jupyter/kernels/deno-narrow/kernel.json",
    );
    const missing = await world.run(["install", "--sys-prefix"]);
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.stderr, "neither VIRTUAL_ENV nor CONDA_PREFIX is set");
    assertEquals([...Deno.readDirSync(home)], []);
  },
});

Deno.test({
  name: "jupyter install --narrow: runs this program, whatever the notebook's folder has",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    await Deno.writeTextFile(`${world.home}/policy.json`, '{"read": ["."]}', { mode: 0o600 });
    const flags = ["install", "--narrow", "--policy", "policy.json", "--audit", "./audit.jsonl"];
    const { code, stderr } = await world.run(flags);
    assertEquals(code, 0, stderr);
    const { argv, display_name } = world.spec(`${world.kernels}/deno-narrow`);
    assertEquals(display_name, "Deno (narrow)");
    const at = argv.indexOf("DENO_NO_PACKAGE_JSON=1");
    assertEquals(argv.slice(at + 1, at + 3), [DENO, "run"]);
    assert(argv.some((word: string) => /^--config=\/|^--no-config$/.test(word)), argv.join(" "));
    assertEquals(argv.slice(argv.indexOf(CLI)), [
      CLI,
      "jupyter",
      "kernel",
      "--connection-file",
      "{connection_file}",
      "--policy",
      `${world.home}/policy.json`,
      "--audit",
      `${world.home}/audit.jsonl`,
    ]);
  },
});

Deno.test({
  name: "jupyter install: without a permission it says which, and the hint's command names all",
  ignore,
  fn: async () => {
    await using world = await cliWorld();
    const env = { JUPYTER_DATA_DIR: `${world.home}/jupyter` };
    const denied = await world.run(["jupyter", "install"], { flags: ["--allow-env"], env });
    assertEquals(denied.code, 1);
    assertStringIncludes(denied.stderr, `write ${world.home}/jupyter/kernels (to write the kernel`);
    const [, kind = ""] = /permissions --for (\w+)/.exec(denied.stderr) ?? [];
    const hint = await world.run(["permissions", "--for", kind, "--json"], { env });
    assertEquals(hint.code, 0, hint.stderr);
    const flags = [...JSON.parse(hint.stdout).flags.matchAll(/--allow-\S+/g)].map(([flag]) => flag)
      .filter((flag) => !flag.startsWith("--allow-env="));
    const { code, stderr } = await world.run(["jupyter", "install"], {
      flags: [...flags.map((flag) => flag.replaceAll("'", "")), "--allow-env"],
      env,
    });
    assertEquals([code, stderr], [0, ""]);
    const all = await world.run(["permissions", "--for", "cli"], { env });
    assert(!all.stdout.includes("jupyter/kernels"), all.stdout);
  },
});

const WRONG: [args: string[], words: string][] = [
  [["install", "--policy", "p.json"], "Cannot use --policy: it belongs to --narrow"],
  [["install", "--audit", "a.jsonl"], "Cannot use --audit: it belongs to --narrow"],
  [["install", "--name", "../deno"], "Cannot use --name: a kernel's name has letters"],
  [["install", "--name", ".."], "Cannot use --name"],
  [["install", "--env", "HOME"], "Cannot use --env: give NAME=VALUE"],
  [["install", "--env", "VM_OIDC_CLIENT_SECRET=s3cr3t-of-somebody"], "it looks like a secret"],
  [["install", "--env", "VM_API_KEY=s3cr3t-of-somebody"], "it looks like a secret"],
  [["install", "--env", "VAULT_TOKEN=s3cr3t-of-somebody"], "it looks like a secret"],
  [["install", "--prefix", "/a", "--sys-prefix"], "Cannot use --prefix with --sys-prefix"],
  [["install", "--connection-file", "c.json"], "Cannot use --connection-file"],
  [["install", "--narrow", "--policy", "none.json"], "it is not there"],
  [["install", "--prefix", "/proc/none"], "Cannot write /proc/none"],
  [["kernel"], "--connection-file is missing"],
  [
    ["kernel", "--connection-file", "c.json", "--narrow"],
    "Cannot use --narrow with jupyter kernel",
  ],
  [["kernel", "--connection-file", "none.json"], "its connection file cannot be read"],
  [[], "its step is missing. Give one of install, kernel."],
];

for (const [args, words] of WRONG) {
  Deno.test({
    name: `jupyter ${args.join(" ") || "alone"}: is refused, and nothing is written`,
    ignore,
    fn: async () => {
      await using world = await jupyterWorld();
      const { code, stdout, stderr } = await world.run(args);
      assertEquals([code, stdout], [2, ""], stderr);
      assertStringIncludes(stderr, words);
      assert(!stderr.includes("s3cr3t"), stderr);
      assertEquals([...Deno.readDirSync(world.home)], []);
    },
  });
}

Deno.test({
  name: "jupyter install: a backend's own variables are no secret, and may stand in a kernel",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    const names = ["VM_OIDC_CREDENTIALS_BACKEND", "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS"];
    const args = names.flatMap((name) => ["--env", `${name}={}`]);
    assertEquals((await world.run(["install", ...args])).code, 0);
    assertEquals(Object.keys(world.spec(`${world.kernels}/deno`).env), names);
  },
});

Deno.test({
  name: "jupyter install: a backend's options hold no secret, but may say where it is",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    const install = (options: unknown) =>
      world.run([
        "install",
        "--replace",
        "--env",
        `VM_OIDC_CREDENTIALS_BACKEND_KWARGS=${JSON.stringify(options)}`,
      ]);
    for (
      const options of [
        { auth: { method: "token", token: "s3cr3t" } },
        { auth: { method: "approle", roleId: "r", secretId: "s3cr3t" } },
        {
          backends: ["keychain", { name: "encrypted", options: { key: { passphrase: "s3cr3t" } } }],
        },
      ]
    ) {
      const { code, stderr } = await install(options);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, "looks like a secret");
      assert(!stderr.includes("s3cr3t"), stderr);
    }
    for (
      const options of [
        { auth: { method: "token", token: "${VAULT_TOKEN}" } },
        { auth: { method: "token", tokenFile: "/run/token" } },
        { key: { passphrase: { env: "TOKENS_PASSPHRASE" } } },
      ]
    ) assertEquals((await install(options)).code, 0);
  },
});

/** A connection file with ports that are free now. */
async function connectionFile(folder: string): Promise<string> {
  const listeners = Array.from(
    { length: 5 },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const [shell, iopub, stdin, control, hb] = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  const file = `${folder}/connection.json`;
  await Deno.writeTextFile(
    file,
    JSON.stringify({
      transport: "tcp",
      ip: "127.0.0.1",
      shell_port: shell,
      iopub_port: iopub,
      stdin_port: stdin,
      control_port: control,
      hb_port: hb,
      key: "k",
      signature_scheme: "hmac-sha256",
    }),
  );
  return file;
}

Deno.test({
  name: "jupyter: a log that others can read, a link, and one beside the tokens start no kernel",
  ignore,
  fn: async () => {
    await using world = await jupyterWorld();
    const { home } = world;
    await Deno.writeTextFile(`${home}/open.jsonl`, "kept", { mode: 0o644 });
    await Deno.symlink(`${home}/open.jsonl`, `${home}/link.jsonl`);
    await Deno.mkdir(`${home}/.validmind`, { mode: 0o700 });
    const connection = await connectionFile(home);
    const REFUSED = [
      ["open.jsonl", "it is open to others"],
      ["link.jsonl", "it is a symbolic link"],
      ["none/audit.jsonl", "its folder is not there"],
    ] as const;
    for (const [audit, reason] of REFUSED) {
      const installed = await world.run(["install", "--narrow", "--audit", audit]);
      const kernel = ["kernel", "--connection-file", connection, "--audit", `${home}/${audit}`];
      for (const { code, stdout, stderr } of [installed, await world.run(kernel)]) {
        assertEquals([code, stdout], [2, ""], stderr);
        assertStringIncludes(stderr, `Cannot use ${home}/${audit} of --audit: ${reason}`);
      }
    }
    const audit = `${home}/.validmind/audit.jsonl`;
    const beside = await world.run(["kernel", "--connection-file", connection, "--audit", audit]);
    assertEquals(beside.code, 2, beside.stderr);
    assertStringIncludes(beside.stderr, `Cannot use ${audit} of --audit: the notebook keeps its`);
    assertEquals(await Deno.readTextFile(`${home}/open.jsonl`), "kept");
    assertEquals([...Deno.readDirSync(`${home}/.validmind`)], []);
  },
});

/** Starts `jupyter kernel` as Jupyter does, and waits until the kernel listens. */
async function startKernel(folder: string) {
  const file = await connectionFile(folder);
  const config = new URL("../../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(DENO, {
    args: [
      "run",
      "-A",
      "--quiet",
      `--config=${config}`,
      CLI,
      "jupyter",
      "kernel",
      "--connection-file",
      file,
    ],
    env: { HOME: folder, VM_OIDC_ISSUER: "https://login.example.com", VM_OIDC_CLIENT_ID: "my-app" },
    cwd: folder,
    stdout: "null",
    stderr: "null",
  }).spawn();
  const { hb_port } = JSON.parse(await Deno.readTextFile(file));
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: hb_port })).close();
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const children = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
  return { child, kernel: Number(children.trim().split(" ")[0]) };
}

async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      if (/^State:\s+[ZX]/m.test(await Deno.readTextFile(`/proc/${pid}/status`))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test({
  name: "jupyter kernel: when the broker is killed, the kernel ends: nothing is granted any more",
  ignore: ignore || !hasSetpriv,
  fn: async () => {
    await using folder = await tempDir();
    const { child, kernel } = await startKernel(folder.path);
    assertMatch(await Deno.readTextFile(`/proc/${kernel}/cmdline`), /jupyter\0--kernel/);
    child.kill("SIGKILL");
    await child.status;
    await ended(kernel);
  },
});

Deno.test({
  name:
    "jupyter kernel: ends with its kernel, ends it when asked to, and an interrupt ends neither",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const first = await startKernel(folder.path);
    Deno.kill(first.kernel, "SIGKILL");
    assertEquals((await first.child.status).code, 137);
    const second = await startKernel(folder.path);
    Deno.kill(second.child.pid, "SIGINT"); // Jupyter sends it to the group; here to the broker alone
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertMatch(await Deno.readTextFile(`/proc/${second.kernel}/status`), /^State:\s+[SR]/m);
    second.child.kill("SIGTERM");
    await second.child.status;
    await ended(second.kernel);
  },
});
