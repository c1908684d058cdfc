import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../../../client/cli/main.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { runMain } from "../cli_world.ts";
import { runProcess, succeeds } from "../../../support/deno_process.ts";

const NAMES = COMMANDS.map(({ name }) => name);
/** What a person typed, and words that are offered or not. */
const TYPED: [line: string, offered: string[], notOffered: string[]][] = [
  ["validmind-auth ", NAMES, ["--revoke"]],
  ["validmind-auth lo", ["login", "logout"], ["status"]],
  ["validmind-auth logout --re", ["--revoke"], ["--refresh"]],
  ["validmind-auth token --", ["--format", "--refresh", "--help"], ["--revoke"]],
  ["validmind-auth token --format ", ["exec-credential", "git", "header", "json"], []],
  ["validmind-auth permissions --for ", ["script", "init", "cli"], ["--json"]],
  ["validmind-auth login --backend ", ["file", "memory", "kv"], ["--json"]],
  ["validmind-auth login --json --backend-options ", [], ["--json", "login"]],
];

async function script(): Promise<string> {
  return (await runMain("completions")).stdout;
}

function isThere(shell: string): Promise<boolean> {
  return succeeds([shell, "-c", "true"]);
}

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const env = { HOME: cwd, TERM: "dumb" };
  const { code, stdout, stderr } = await runProcess([program, ...args], { cwd, env });
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

function assertOffered(text: string, offered: string[], notOffered: string[]): void {
  const words = text.split(/\s+/);
  for (const word of offered) assert(words.includes(word), `${word} is not in: ${text}`);
  for (const word of notOffered) assert(!words.includes(word), `${word} is in: ${text}`);
}

Deno.test({
  name: "completions: bash offers commands, flags and values",
  ignore: !await isThere("bash"),
  async fn() {
    await using dir = await tempDir();
    await Deno.writeTextFile(`${dir.path}/completions`, await script());
    await Deno.writeTextFile(`${dir.path}/options.json`, "{}");
    await Deno.writeTextFile(`${dir.path}/my options.json`, "{}");
    const inBash: typeof TYPED = [
      ["validmind-auth login --backend =", ["file", "memory", "kv"], ["--json"]],
      ["validmind-auth login --backend = f", ["file", "fallback"], ["kv", "--json"]],
    ];
    const all = [...TYPED, ...inBash];
    const codes = all.map(([line]) => {
      const words = line.split(" ");
      return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); ` +
        `COMP_CWORD=${words.length - 1}; COMPREPLY=(); _validmind_auth; echo "\${COMPREPLY[*]}"`;
    });
    const code = [". ./completions", ...codes].join("\n");
    const answers = (await run("bash", ["--norc", "-c", code], dir.path)).split("\n");
    for (const [at, [, offered, notOffered]] of all.entries()) {
      assertOffered(answers[at]!, offered, notOffered);
    }
    const [complete] =
      (await run("bash", ["--norc", "-c", ". ./completions; complete -p"], dir.path))
        .split("\n");
    assertEquals(complete, "complete -o default -F _validmind_auth validmind-auth");
  },
});

Deno.test({
  name: "completions: zsh offers commands, flags and values",
  ignore: !await isThere("zsh"),
  async fn() {
    await using dir = await tempDir();
    await Deno.writeTextFile(`${dir.path}/_validmind-auth`, await script());
    await Deno.writeTextFile(`${dir.path}/options.json`, "{}");
    for (const [line, offered, notOffered] of TYPED) {
      const words = line.split(" ");
      // As zsh's own \`_bash_complete\` does, which works in an interactive editor only.
      const code = `
        compdef() { :; }
        source ./_validmind-auth
        words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}
        COMP_WORDS=("\${words[@]}"); COMP_CWORD=${words.length - 1}; PREFIX='${words.at(-1)}'
        compgen -F _validmind_auth -- "$PREFIX"`;
      const all = await run("zsh", ["-f", "-c", code], dir.path);
      const fitting = all.split("\n").filter((word) => word.startsWith(words.at(-1)!)); // as compadd does
      assertOffered(fitting.join("\n"), offered, notOffered);
    }
  },
});
