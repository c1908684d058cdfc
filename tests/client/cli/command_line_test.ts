import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { helpText } from "../../../client/cli/commands/help.ts";
import { COMMANDS, parseCommandLine } from "../../../client/cli/main.ts";
import { FLAGS } from "../../../client/cli/command.ts";
import { SETTINGS } from "../../../client/options/settings_file.ts";
import { OPTION_NAMES, optionRow } from "../../../client/options/declaration.ts";
import { CliError } from "../../../client/cli/output.ts";
import { runMain } from "./cli_world.ts";

function parse(...args: string[]) {
  return parseCommandLine(args, COMMANDS);
}

function run(...args: string[]) {
  const { command, ...line } = parse(...args);
  assert(command !== undefined);
  return { command, ...line };
}

Deno.test("parse: a command with flags, before it or after it, with = or without", () => {
  for (
    const args of [
      ["status", "--issuer", "https://a.example", "--json"],
      ["--json", "--issuer=https://a.example", "status"],
    ]
  ) {
    const { command, flags } = run(...args);
    assertEquals(command.name, "status");
    assertEquals(flags.text("issuer"), "https://a.example");
    assertEquals([flags.has("json"), flags.has("quiet")], [true, false]);
  }
});

Deno.test("parse: help, version and nothing at all", () => {
  assertEquals(parse().command, undefined);
  for (const word of ["--help", "-h"]) assert(parse(word).flags.has("help"));
  for (const word of ["--version", "-V"]) assert(parse(word).flags.has("version"));
  const { command, flags } = parse("token", "--help");
  assertEquals([command?.name, flags.has("help")], ["token", true]);
});

Deno.test("parse: a value may be a dash, or begin with one where it is joined to its flag", () => {
  const { flags } = run("login", "--backend", "kv", "--backend-options", "-");
  assertEquals(flags.text("backend-options"), "-");
  assertEquals(run("login", "--scope=-x").flags.text("scope"), "-x");
});

Deno.test("parse: a flag that may be repeated keeps all its values, in their order", () => {
  const { flags } = run("login", "--parameter", "a=1", "--open", "--parameter=b=2=3");
  assertEquals(flags.get("parameter"), ["a=1", "b=2=3"]);
});

Deno.test("parse: -q is --quiet", () => {
  assert(run("status", "-q").flags.has("quiet"));
});

const REFUSED: [args: string[], ...words: string[]][] = [
  [["lgoin"], '"lgoin"', 'Did you mean "login"?'],
  [["x"], '"x"', "It takes: login, status, list"],
  [["--json"], "no command is given", "login, status"],
  [
    ["login", "--isuer=https://a.example"],
    '"--isuer"',
    'it is not known. Did you mean "--issuer"?',
  ],
  [["-x"], '"-x"', "it is not known"],
  [["login", "--revoke"], "--revoke", "the command login does not take it"],
  [["status", "--refresh"], "--refresh", "the command status does not take it"],
  [["login", "--issuer"], "--issuer", "its value is missing", "--issuer URL"],
  [["login", "--issuer", "--json"], "--issuer", "its value is missing"],
  [["login", "--issuer="], "--issuer", "its value is missing"],
  [["login", "--json=yes"], "--json", "it takes no value"],
  [["login", "--json", "--json"], "--json", "it is given twice"],
  [["login", "now"], '"now"', "the command login does not take it"],
  [["permissions", "--for", "scrip"], '"scrip"', "--for", 'Did you mean "script"?'],
  [["permissions", "--for", "everything"], "It takes: script, init, cli"],
];

Deno.test("parse: a wrong command line is refused, and the error says why", () => {
  for (const [args, ...words] of REFUSED) {
    const { message } = assertThrows(() => parse(...args), CliError);
    for (const word of ["Cannot ", ...words]) assertStringIncludes(message, word);
  }
});

const SECRET = "s3cr3t-value-of-somebody";

const SECRETS: [flag: string, word: string][] = [
  ["--token", "it is not known"],
  ["--client-secret", "Set VM_OIDC_CLIENT_SECRET instead."],
  ["--api-key", "Set VM_API_KEY instead."],
  ["--apikey", "Set VM_API_KEY instead."],
];

Deno.test("parse: what may be a secret is not shown", () => {
  const refused = (...args: string[]) => {
    const { message } = assertThrows(() => parse(...args), CliError);
    assert(!message.includes(SECRET.slice(0, 8)), message);
    return message;
  };
  for (const [flag, word] of SECRETS) {
    for (const message of [refused("login", flag, SECRET), refused(`${flag}=${SECRET}`)]) {
      for (const part of [`"${flag}"`, word]) assertStringIncludes(message, part);
    }
  }
  const long = `${SECRET}${SECRET}`; // a word in a wrong place may be a token
  for (const args of [[], ["login"], ["permissions", "--for"]]) refused(...args, long);
  refused("login", `--${long}`);
});

Deno.test("the tables: an option has its flag, help, completion and setting by its row alone", async () => {
  const page = await Deno.readTextFile(new URL("../../../client/command_line.md", import.meta.url));
  const completions = await runMain("completions");
  const help = helpText(COMMANDS.find(({ name }) => name === "config"), COMMANDS);
  for (const name of OPTION_NAMES) {
    const { flag, secret } = optionRow(name);
    if (secret) assert(flag === undefined && !Object.hasOwn(SETTINGS, name), name);
    if (flag === undefined) continue;
    assertEquals(Object.hasOwn(SETTINGS, name), name !== "profile", name);
    assert(Object.hasOwn(FLAGS, flag), flag);
    for (const text of [page, help, completions.stdout]) {
      assertMatch(text, new RegExp(`--${flag}\\b`));
    }
  }
});

Deno.test("the tables: each flag is used, each command has an example that parses", () => {
  const used = new Set<string>(COMMANDS.flatMap(({ flags }) => flags));
  const unused = Object.keys(FLAGS).filter((name) => !used.has(name));
  assertEquals(unused, ["help", "version"]);
  for (const { name, examples } of COMMANDS) {
    assert(examples.length > 0);
    for (const example of examples) {
      const [own = ""] = example.split(/ [|>]|\|\|/);
      assertEquals(run(...own.trim().split(" ")).command.name, name);
    }
  }
});
