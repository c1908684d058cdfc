import { assert, assertEquals } from "@std/assert";
import { COMMANDS } from "../../../../client/cli/commands.ts";
import { runProcess, succeeds } from "../../../support/deno_process.ts";
import { cliTest, runMain } from "../cli_world.ts";

const NAMES = COMMANDS.map(({ name }) => name);
/** What a person typed, and words that are offered or not. */
const TYPED: [line: string, offered: string[], notOffered: string[]][] = [
  ["validmind-auth ", NAMES, ["--revoke", "--help"]],
  ["validmind-auth --", ["--help", "--version"], ["--revoke"]],
  ["validmind-auth logout ", ["--revoke", "--help"], ["--refresh"]],
  ["validmind-auth lo", ["login", "logout"], ["status"]],
  ["validmind-auth logout --re", ["--revoke"], ["--refresh"]],
  ["validmind-auth token --", ["--format", "--refresh", "--help"], ["--revoke"]],
  ["validmind-auth token --format ", ["exec-credential", "git", "json"], []],
  ["validmind-auth permissions --for ", ["script", "init", "cli"], ["--json"]],
  ["validmind-auth login --backend ", ["file", "memory", "kv"], ["--json"]],
  ["validmind-auth login --json --backend-options ", [], ["--json", "login"]],
  ["validmind-auth config ", ["list", "set", "discover"], ["clientId", "login", "--issuer"]],
  ["validmind-auth config --", ["--issuer"], ["--revoke"]],
  ["validmind-auth config set ", ["clientId"], ["list", "--issuer", "login", "--profile"]],
  ["validmind-auth config set issuer x ", ["clientId"], ["list", "--issuer"]],
  ["validmind-auth config --json unset --", ["--profile"], ["--issuer"]],
  ["validmind-auth config discover ", [], ["clientId", "login"]],
];
/** bash takes an equals sign for a word. */
const IN_BASH: typeof TYPED = [
  ["validmind-auth login --backend =", ["file", "memory", "kv"], ["--json"]],
  ["validmind-auth login --backend = f", ["file", "fallback"], ["kv", "--json"]],
];

const inBash = (words: string, at: number) =>
  `. ./completions; COMP_WORDS=(${words}); COMP_CWORD=${at}
  COMPREPLY=(); _validmind_auth; echo "\${COMPREPLY[*]}"`;
// As zsh's own `_bash_complete` does, which works in an interactive editor only.
const inZsh = (words: string, at: number) =>
  `compdef() { :; }; source ./completions
  words=(${words}); CURRENT=${at + 1}; COMP_WORDS=("\${words[@]}"); COMP_CWORD=${at}
  PREFIX="\${words[-1]}"; compgen -F _validmind_auth -- "$PREFIX"`;

const SHELLS: [shell: string, flag: string, code: typeof inBash, rows: typeof TYPED][] = [
  ["bash", "--norc", inBash, [...TYPED, ...IN_BASH]],
  ["zsh", "-f", inZsh, TYPED],
];

for (const [shell, flag, codeOf, rows] of SHELLS) {
  const isHere = await succeeds([shell, "-c", "true"]);
  const name = `completions: ${shell} offers commands, flags and values`;
  cliTest(isHere ? name : `${name} (ignored: there is no ${shell})`, async (world) => {
    await world.write((await runMain("completions", shell)).stdout, "completions");
    for (const name of ["options.json", "my options.json"]) await world.write({}, name);
    const run = async (code: string) => {
      const env = { HOME: world.home, TERM: "dumb" };
      const command: [string, ...string[]] = [shell, flag, "-c", code];
      const { code: exit, stdout, stderr } = await runProcess(command, { cwd: world.home, env });
      assertEquals([exit, stderr], [0, ""]);
      return stdout;
    };
    for (const [line, offered, notOffered] of rows) {
      const words = line.split(" ");
      const text = await run(codeOf(words.map((word) => `'${word}'`).join(" "), words.length - 1));
      // As a shell's own code does.
      const found = text.split(/\s+/).filter((word) =>
        shell === "bash" || word.startsWith(words.at(-1)!)
      );
      for (const word of offered) assert(found.includes(word), `${word} is not in: ${text}`);
      for (const word of notOffered) assert(!found.includes(word), `${word} is in: ${text}`);
    }
    if (shell !== "bash") return;
    const [complete] = (await run(". ./completions; complete -p")).split("\n");
    assertEquals(complete, "complete -o default -F _validmind_auth validmind-auth");
  }, { ignore: !isHere });
}

cliTest("completions: fish takes each command, flag and value", async (world) => {
  const { stdout } = await runMain("completions", "fish");
  await world.write(stdout, "completions.fish");
  const lines = stdout.trimEnd().split("\n");
  for (const name of NAMES) assert(lines.some((line) => line.includes(` -a ${name} -d `)), name);
  assert(lines.some((line) => /_from token' -l format -r -f -a 'exec-credential git/.test(line)));
  assert(lines.some((line) => /_from config' -f -a 'list set unset discover'/.test(line)));
  assert(lines.some((line) => /_from set' -f -a 'issuer clientId/.test(line)));
  const { code } = await runMain("completions", "tcsh");
  assertEquals(code, 2);
});
