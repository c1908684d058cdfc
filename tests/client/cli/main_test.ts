import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { ValidMindAuthError } from "@validmind/auth";
import { quotePosix, VERSION } from "../../../backends/common/runtime.ts";
import { CliError, usageError } from "../../../client/cli/command.ts";
import { COMMANDS } from "../../../client/cli/commands.ts";
import { FLAGS } from "../../../client/cli/flags.ts";
import { parseCommandLine } from "../../../client/cli/parse_command_line.ts";
import { reportError } from "../../../client/cli/report_error.ts";
import { OPTION_NAMES, optionRow, SETTINGS } from "../../../client/options/declaration.ts";
import { denoCommand, runDeno, runProcess, spawnDeno } from "../../support/deno_process.ts";
import { errorParts, storeError } from "../../support/error_parts.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { isPosix } from "../../support/sandbox.ts";
import { CLI, cliTest, runMain } from "./cli_world.ts";

Deno.test("main: --version and --help need no permission", async () => {
  const version = await runDeno({ file: CLI, args: ["--version"] });
  assertEquals(version, { code: 0, stdout: `validmind-auth ${VERSION}\n`, stderr: "" });
  const { code, stdout, stderr } = await runDeno({ file: CLI, args: ["--help"] });
  assertEquals([code, stderr], [0, ""]);
  for (const { name, summary } of COMMANDS) assertStringIncludes(stdout, summary, name);
});

Deno.test("main: without a command the help goes to standard error, and the exit code is 2", async () => {
  for (const args of [[], ["--json"]]) {
    const { code, stdout, stderr } = await runMain(...args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, "Usage:\n  validmind-auth COMMAND [FLAGS]\n");
  }
});

Deno.test("main: help of a command names its flags, exit codes and an example, in 80 columns", async () => {
  const texts = [(await runMain("--help")).stdout];
  for (const { name, flags } of COMMANDS) {
    const { code, stdout } = await runMain(name, "--help");
    assertEquals(code, 0);
    for (const flag of [...flags, "help"]) {
      assertMatch(stdout, new RegExp(`^ {2}(-., | {4})--${flag}( [A-Z=:]+)?( {2,}\\S|$)`, "m"));
    }
    assertMatch(stdout, /^ {2}4 {2,}a person has to sign in/m);
    assertStringIncludes(stdout, `  validmind-auth ${name}`);
    texts.push(stdout);
  }
  const login = (await runMain("login", "--help")).stdout.replaceAll(/\s+/g, " ");
  assertMatch(login, /\(one of auto, device, [^)]+; or VM_OIDC_FLOW\)/);
  for (const text of texts) {
    assert(!/ $/m.test(text), "spaces at the end of a line");
    // But lines to copy, and paths.
    const lines = text.split("\n").filter((line) => !/^ {2}validmind-auth|^~\/\S+$/.test(line));
    assertEquals(lines.filter((line) => line.length > 80), []);
  }
});

Deno.test("main: an error names the help of the command; with --json it is one line of JSON", async () => {
  const { code, stdout, stderr } = await runMain("token", "--heder");
  assertEquals([code, stdout], [2, ""]);
  assertMatch(stderr, /^error \(usage\): Cannot .* it is not known\./);
  assertStringIncludes(stderr, "Try: validmind-auth token --help\n");
  assertStringIncludes((await runMain("confg", "list")).stderr, "Try: validmind-auth --help\n");
  const { error } = JSON.parse((await runMain("token", "--json", "--heder")).stderr);
  assertEquals([error.code, error.hint], ["usage", "Try: validmind-auth token --help"]);
});

function parse(...args: string[]) {
  const { command, flags, args: words } = parseCommandLine(args);
  return [command?.name, Object.fromEntries(flags), words];
}

const PARSED: [line: string, command: string | undefined, flags: object, ...words: string[]][] = [
  ["status --issuer x --json", "status", { issuer: ["x"], json: [] }],
  ["--json --issuer=x status", "status", { issuer: ["x"], json: [] }],
  ["", undefined, {}],
  ["--help", undefined, { help: [] }],
  ["-h", undefined, { help: [] }],
  ["-V", undefined, { version: [] }],
  ["token --help", "token", { help: [] }],
  ["api -X PUT", "api", { method: ["PUT"] }],
  // A value may be a dash, or begin with one where it is joined to its flag.
  ["login --backend-options -", "login", { "backend-options": ["-"] }],
  ["login --scope=-x", "login", { scope: ["-x"] }],
  ["login --audience=", "login", { audience: [""] }], // none, whatever is set
  // A number is a value and no flag.
  ["login --scope -5 --json", "login", { scope: ["-5"], json: [] }],
  ["api x -F -7.5", "api", { field: ["-7.5"] }, "x"],
  ["config set timeoutMs -5", "config", {}, "set", "timeoutMs", "-5"],
  ["exec -5", "exec", {}, "-5"],
  ["login --parameter a=1 --parameter=b=2=3", "login", { parameter: ["a=1", "b=2=3"] }],
  ["exec --refresh x --json", "exec", { refresh: [] }, "x", "--json"],
  ["exec -- -x", "exec", {}, "-x"],
];

Deno.test("main: help is a command, too", async () => {
  assertEquals((await runMain("help", "login")).stdout, (await runMain("login", "--help")).stdout);
  assertEquals((await runMain("help")).stdout, (await runMain("--help")).stdout);
});

Deno.test("parse: a command with flags, before it or after it, and its arguments", () => {
  for (const [line, command, flags, ...words] of PARSED) {
    assertEquals(parse(...line.split(" ").filter(Boolean)), [command, flags, words], line);
  }
});

const SECRET = "s3cr3t-value-of-somebody";
const LONG = `${SECRET}${SECRET}`; // a word in a wrong place may be a token

const REFUSED: [line: string, ...words: string[]][] = [
  ["lgoin", '"lgoin"', 'Did you mean "login"?'],
  ["x", '"x"', "It takes: login, status, list"],
  ["login --isuer=https://a.example", '"--isuer"', 'it is not known. Did you mean "--issuer"?'],
  ["-x", '"-x"', "it is not known"],
  ["login --revoke", "--revoke", "the command login does not take it"],
  ["status --refresh", "--refresh", "the command status does not take it", "It takes: --issuer, "],
  ["api ping --json", "--json", "the command api does not take it", "--input, --header, --help, "],
  ["completions --json", "It takes: --help, --version."],
  ["login --scope -x", "--scope", "its value is missing"],
  ["-5", '"-5"', "as a command"],
  ["status -5", '"-5": the command status does not take it'],
  ["token --jsno", 'Did you mean "--json"?'],
  ["token --output", "It takes: --issuer, ", "--format, --json, --help, "],
  ["token --hepl", 'Did you mean "--help"?'],
  ["-v", "It takes: --help, --version."],
  ["login --issuer", "--issuer", "its value is missing", "--issuer URL"],
  ["login --issuer --json", "--issuer", "its value is missing"],
  ["login --issuer=", "--issuer", "its value is missing"],
  ["login --json=yes", "--json", "it takes no value"],
  ["login --json --json", "--json", "it is given twice"],
  ["status now", '"now"', "the command status does not take it"],
  ["permissions --for scrip", '"scrip"', "--for", 'Did you mean "script"?'],
  ["permissions --for everything", "It takes: script, init, cli"],
  // No secret is shown.
  [`login --token ${SECRET}`, '"--token"', "it is not known"],
  [`--client-secret=${SECRET}`, '"--client-secret"', "Set VM_OIDC_CLIENT_SECRET instead."],
  [`login --api-key ${SECRET}`, '"--api-key"', "Set VM_API_KEY instead."],
  [`--apikey=${SECRET}`, '"--apikey"', "Set VM_API_KEY instead."],
  [LONG, "It takes: login"],
  [`status ${LONG}`, "the command status does not take it"],
  [`permissions --for ${LONG}`, "It takes: script"],
  [`login --${LONG}`, "it is not known"],
];

Deno.test("parse: a wrong command line is refused, and the error says why", () => {
  for (const [line, ...words] of REFUSED) {
    const { message } = assertThrows(() => parse(...line.split(" ")), CliError);
    for (const word of ["Cannot ", ...words]) assertStringIncludes(message, word);
    assert(!message.includes(SECRET.slice(0, 8)), message);
  }
});

Deno.test("the tables: an option has its flag, help, completion and setting by its row alone", async () => {
  const completions = await runMain("completions");
  const help = await runMain("config", "--help");
  for (const name of OPTION_NAMES) {
    const { flag, secret } = optionRow(name);
    if (secret) assert(flag === undefined && !SETTINGS.includes(name), name);
    if (flag === undefined) continue;
    assertEquals(SETTINGS.includes(name), name !== "profile", name);
    for (const text of [help.stdout, completions.stdout]) {
      assertMatch(text, new RegExp(`--${flag}\\b`));
    }
  }
});

Deno.test("the tables: each flag is used, each command has an example that parses", () => {
  const used = new Set<string>(COMMANDS.flatMap(({ flags }) => flags));
  const unused = Object.keys(FLAGS).filter((name) => !used.has(name));
  assertEquals(unused, ["help", "version"]);
  for (const { name, examples } of COMMANDS) {
    for (const example of examples.trim().split("\n")) {
      const [own = ""] = example.split(/ [|>]|\|\|/);
      assertEquals(parse(...own.trim().split(" "))[0], name);
    }
  }
});

const WORDS = "Cannot a: b. Do c.";
const REPORTED: [error: unknown, code: number, text: string][] = [
  [usageError(WORDS), 2, `error (usage): ${WORDS}\n`],
  [new ValidMindAuthError("missing_api_credentials", errorParts(WORDS)), 2, WORDS],
  [storeError("backend_spec_invalid", WORDS), 2, WORDS],
  [storeError("home_unset", WORDS), 2, WORDS],
  [
    new ValidMindAuthError("login_required", errorParts(WORDS)),
    4,
    "error (login_required): Cannot a: b. Sign in with\n  validmind-auth token --login\n",
  ],
  [new ValidMindAuthError("provider_unavailable", errorParts(WORDS)), 1, WORDS],
  [
    storeError("backend_locked", WORDS),
    1,
    `error (backend_locked): ${WORDS}\n`,
  ],
  // Causes are told without escape sequences.
  [
    new ValidMindAuthError(
      "credentials_not_stored",
      errorParts(
        "Cannot store: full.",
        storeError("backend_full", "Cannot write: no\x1b[31m space."),
      ),
    ),
    1,
    "Try again.\ncaused by CredentialsBackendError [backend_full]: Cannot write: no [31m space. Try again.\n",
  ],
  // A cause is left out where it says no more than the error, and the one behind it is told.
  ...["fetch failed", "full."].map((words): typeof REPORTED[number] => {
    const cause = new Error(words, { cause: new Error("no route") });
    const error = new ValidMindAuthError(
      "provider_unavailable",
      errorParts("Cannot a: full.", cause),
    );
    return [error, 1, "Try again.\ncaused by Error: no route\n"];
  }),
  // A stranger's words may be a secret.
  [new RangeError(SECRET), 1, "error (unexpected): Cannot finish"],
  [SECRET, 1, "error (unexpected): Cannot finish"],
  [new DOMException(SECRET, "TimeoutError"), 1, "error (unexpected): Cannot finish"],
  [
    Object.assign(new TypeError(SECRET), { code: "ERR_MODULE_NOT_FOUND" }),
    1,
    "a registry did not give a module of it. Check the network",
  ],
  [
    storeError("unstable_kv_required", WORDS),
    1,
    "validmind-auth --unstable-kv -A jsr:@validmind/auth/cli\n",
  ],
];

Deno.test("reportError: the exit code and the words by the error", async () => {
  for (const [error, code, text] of REPORTED) {
    using streams = new OwnStreams();
    assertEquals(await reportError(error, false, "status"), code);
    const { stdout, stderr } = streams.written;
    assertEquals(stdout, "");
    assertStringIncludes(stderr, text);
    assert(!stderr.includes(SECRET), stderr);
  }
  using streams = new OwnStreams();
  for (const [signal, code] of [[undefined, 130], ["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const error = Object.assign(new DOMException("interrupted", "AbortError"), { signal });
    assertEquals(await reportError(error, false, "login"), code);
  }
  assertEquals(streams.written.stderr, "", "the prompt has said it");
});

for (const [command, code] of [["--help", 0], ["status", 4]] as const) {
  cliTest(`output: an unread pipe is no error; ${command} keeps its code`, async (world) => {
    const run = { file: CLI, flags: ["-A"], args: [command] };
    await using child = spawnDeno({ ...run, env: world.env });
    await child.stdout.cancel(); // long before the program writes
    assertEquals(await child.stderr.text(), "");
    assertEquals((await child.status).code, code);
  });
}

cliTest("output: a closed stream is no error; a full disk is one", async (world) => {
  const program = denoCommand({ file: CLI, flags: ["-A"] }).map(quotePosix).join(" ");
  const shell = async (line: string) => {
    const { code, stderr } = await runProcess(["sh", "-c", `${program} ${line}`], {
      env: world.env,
    });
    return [code, stderr];
  };
  for (const closed of [">&-", ">&- 2>&-", "2>&-"]) {
    assertEquals(await shell(`status ${closed}`), [4, ""]);
  }
  if (Deno.build.os !== "linux") return;
  await world.signIn();
  const [code, stderr] = await shell("token > /dev/full");
  assertEquals(code, 1);
  assertStringIncludes(`${stderr}`, "error (output_failed): Cannot write to standard output");
}, { ignore: !isPosix });

// 2027-07-15, when there is daylight saving time in New York.
const END = new Date(Date.UTC(2027, 6, 15, 9, 5, 30)).toISOString();

const ZONES = {
  "Asia/Kolkata": "2027-07-15 14:35 +05:30",
  "America/New_York": "2027-07-15 05:05 -04:00",
};

for (const [TZ, local] of Object.entries(ZONES)) {
  cliTest(`times: in ${TZ} people read ${local}, and JSON has UTC`, async (world) => {
    await world.signIn();
    await world.amend({ expires_at: END });
    const run = async (...args: string[]) => {
      const code = `import { runCli } from "@validmind/auth/cli";
        for (const line of Deno.args) await runCli(line.split(" "));`;
      const env = { ...world.env, TZ };
      return (await runDeno({ code, flags: ["-A"], args, env })).stdout;
    };
    const text = await run("status", "list", "login", "doctor");
    assertEquals(text.split(`valid until ${local}, then`).length, 5, text);
    const json = await run("status --json", "login --json", "token --json", "list --json");
    assertEquals(json.match(/"expires_at": ?"[^"]*"/g)?.length, 4);
    assertEquals([json.split(END).length, json.includes(local)], [5, false], json);
  }, { ignore: !isPosix }); // Windows has its zone from the system alone
}
