import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { DENO, mustRun } from "../support/deno_process.ts";
import { hasJupyter, type KernelMessage, type Notebook, runNotebook } from "../support/jupyter.ts";
import { type NotebookWorld, quickstart, startNotebookWorld } from "./notebook_world.ts";

const ignore = !hasJupyter || Deno.build.os === "windows";

/** Makes the world's kernel a narrow one, which also grants the data folder. */
async function narrow(world: NotebookWorld): Promise<{ audit: string }> {
  const { path, env } = world.home;
  await Deno.mkdir(`${path}/data`);
  await Deno.writeTextFile(`${path}/data/in.csv`, "a,b\n");
  await Deno.mkdir(`${path}/rules`);
  const policy = `${path}/rules/policy.json`;
  await Deno.writeTextFile(policy, '{"read": ["${HOME}/data"]}', { mode: 0o600 });
  const audit = `${path}/rules/audit.jsonl`;
  const args = ["jupyter", "install", "--replace", "--narrow", "--name", "deno"];
  await mustRun(
    [
      DENO,
      "run",
      "-A",
      "--quiet",
      "--unstable-kv",
      "jsr:@validmind/auth/cli",
      ...args,
      "--policy",
      policy,
      "--audit",
      audit,
    ],
    { cwd: path, env },
  );
  return { audit };
}

function cells(...sources: string[]): Notebook["cells"] {
  return sources.map((source) => ({
    cell_type: "code",
    source,
    metadata: {},
    outputs: [],
    execution_count: null,
  }));
}

Deno.test({
  name: "a narrow kernel runs quickstart.ipynb: sign-in, a stored start, and the sign-out",
  ignore,
  fn: async () => {
    await using world = await startNotebookWorld();
    const { audit } = await narrow(world);
    world.provider.autoApprove = true;
    const staying = await world.write(await quickstart({ signOut: false }), "one.ipynb");
    let tokens: string[];
    {
      await using running = runNotebook(world.home, staying);
      await running.waitFor(({ type }) => type === "ended");
      assertEquals(errorsIn(running.messages), []);
      tokens = await world.tokens();
      assertEquals(tokens.length, 3);
      assertNoSecret(running.messages, tokens);
    }
    world.provider.reset();
    const leaving = await world.write(await quickstart(), "two.ipynb");
    await using running = runNotebook(world.home, leaving);
    await running.waitFor(({ type }) => type === "ended");
    assertEquals(errorsIn(running.messages), []);
    const log = await Deno.readTextFile(audit);
    const denied = log.trim().split("\n").map((line) => JSON.parse(line))
      .filter(({ result }) => result === "deny")
      // The folder above is synced where it may be read; here that is denied, and left out.
      .filter(({ permission, value }) => `${permission} ${value}` !== `read ${world.home.path}`)
      .map(({ permission, value }) => `${permission} ${value}`);
    assertEquals(denied, [], "the module asks for nothing that it does not declare");
    assertNoSecret(log, tokens);
    assertEquals(Deno.statSync(audit).mode! & 0o777, 0o600);
  },
});

const ATTACKS: Record<string, string> = {
  "another file": 'Deno.readTextFileSync("/etc/passwd")',
  "a program": 'new Deno.Command("id").outputSync()',
  "a host": 'await fetch("http://127.0.0.1:9999/")',
  "a module": 'await import("https://example.com/x.ts")',
  "the hub's token": 'Deno.env.get("JUPYTERHUB_API_TOKEN")',
  "all variables": "Deno.env.toObject()",
  "a library": 'Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {})',
  "a link": 'Deno.symlinkSync("/etc/passwd", Deno.env.get("HOME") + "/.validmind/x")',
  "the policy": 'Deno.writeTextFileSync(Deno.env.get("HOME") + "/rules/policy.json", "{}")',
  "a Worker's file":
    'await new Promise((_, no) => new Worker("data:text/javascript,Deno.readTextFileSync(\'/etc/passwd\')", { type: "module" }).onerror = (e) => { e.preventDefault(); no(new Error(e.message)); })',
};

Deno.test({
  name: "a narrow kernel denies the rest by name, and goes on",
  ignore,
  fn: async () => {
    await using world = await startNotebookWorld();
    await narrow(world);
    const names = Object.keys(ATTACKS);
    const notebook = {
      ...await quickstart(),
      cells: cells(
        ...names.map((name) =>
          `try { ${
            ATTACKS[name]
          }; console.log("DONE") } catch (e) { console.log("<" + e.message + ">") }`
        ),
        'console.log(Deno.readTextFileSync(Deno.env.get("HOME") + "/data/in.csv"))',
      ),
    };
    const home = {
      ...world.home,
      env: { ...world.home.env, JUPYTERHUB_API_TOKEN: "t0ken-of-the-hub" },
    };
    await using running = runNotebook(home, await world.write(notebook, "attacks.ipynb"));
    await running.waitFor(({ type }) => type === "ended");
    for (const [cell, name] of names.entries()) {
      const text = textOf(running.messages, cell);
      assert(!text.includes("DONE"), `${name}: ${text}`);
      assertStringIncludes(text, "This kernel does not permit", name);
    }
    assertStringIncludes(textOf(running.messages, 0), 'Name it under "read" in');
    assertStringIncludes(textOf(running.messages, names.length), "a,b");
    assertNoSecret(running.messages, ["t0ken-of-the-hub"]);
  },
});

function textOf(messages: readonly KernelMessage[], wanted: number): string {
  return messages.filter(({ cell, type }) => cell === wanted && type === "stream")
    .map(({ content }) => content.text).join("");
}

function errorsIn(messages: readonly KernelMessage[]): unknown[] {
  return messages.filter(({ type }) => type === "error" || type === "dead")
    .map(({ content }) => content.evalue ?? "dead");
}
