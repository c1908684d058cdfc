// deno-lint-ignore-file no-console -- it is a program
/**
 * Measures whole processes that put a stored token into a header (`cold`), or refresh it first
 * (`refresh`), beside scripts that do the least for it, by turns:
 *
 * ```sh
 * deno task bench [cold] [refresh] [installed] [stores] [peers] [many] [entries] [--rounds=30]
 * ```
 *
 * `installed` runs the packages of JSR and of npm, from registries on this machine, each beside the least
 * of its own form. `stores` and `peers` name the rows that they leave out, for lack of a server of
 * `deno task servers`. `entries` has the cost of a start, by the number of entries in one file, on Linux.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { credentialKey, FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { ALL, DENO, denoCommand, mustRun } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { userToken } from "../../backends/vault/vault_world.ts";
import { type JsrRegistry, startJsrRegistry } from "../../support/jsr_registry.ts";
import { type NpmRegistry, startNpmRegistry } from "../../support/npm_registry.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { startKeyringSession } from "../../support/servers/keyring_session.ts";
import { hasServer, isOnPath, serverPath, SERVERS } from "../../support/servers/servers.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { writeProgram } from "../../support/write_program.ts";

/** A program that is timed from its start to its end. */
interface TimedCommand {
  name: string;
  command: readonly [string, ...string[]];
  env: Record<string, string>;
  /** Runs before each start, untimed. */
  before?: () => Promise<void>;
  /** Whether the ratios of the rows below are to it, in place of the first row. */
  isLeast?: true;
}

/** The highest ratio of this module to the first row. */
const BAR = 1.75;
const OURS = "this module, file";
const ISSUER = "https://login.example.com";
const CLIENT_ID = "bench";

/** The command that runs one of the programs beside this file by Deno. */
export function denoProgram(name: string, ...args: string[]): [string, ...string[]] {
  return denoCommand({ file: programPath(name), flags: ALL, args });
}

function programPath(name: string): string {
  return `${import.meta.dirname}/programs/${name}`;
}

const SECTIONS: Record<string, (folder: string) => Promise<void>> = {
  entries: measureEntries,
  cold: async (home) => {
    const key = credentialKey(ISSUER, CLIENT_ID);
    await new FileCredentialsBackend({ path: pathIn(home) }).put(key, storedEntry(CLIENT_ID));
    const env = { HOME: home };
    await measure("Cold start to a bearer header from a valid stored token", [
      { name: "read and parse the same file", command: denoProgram("read_parse.ts", key), env },
      { name: OURS, command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID), env },
    ]);
  },
  installed: measureInstalled,
  stores: measureStores,
  peers: async (home) => {
    const key = credentialKey(ISSUER, CLIENT_ID);
    const path = pathIn(home);
    await new FileCredentialsBackend({ path }).put(key, storedEntry(CLIENT_ID));
    const env = { HOME: home };
    const peer = (name: string, program: string, ...runner: [string, ...string[]]) => ({
      name,
      command: [...runner, programPath(program), key, path] as const,
      env,
    });
    const onDeno = [DENO, "run", "-q", "-A", "--no-config"] as const;
    const python = [];
    if (await hasServer("msal")) {
      const name = `msal ${SERVERS.msal.version} for Python`;
      python.push(peer(name, "msal_python.py", await serverPath("msal")));
    } else tellLeftOut("msal");
    await measure("Start from a stored token, beside other libraries", [
      { name: "read and parse the same file", command: denoProgram("read_parse.ts", key), env },
      { name: OURS, command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID), env },
      peer("google-auth-library", "google_auth.ts", ...onDeno),
      peer("msal-node", "msal_node.ts", ...onDeno),
      ...python,
    ]);
  },
  many: async (home) => {
    const key = credentialKey(ISSUER, CLIENT_ID);
    await new FileCredentialsBackend({ path: pathIn(home) }).put(key, storedEntry(CLIENT_ID));
    const env = { HOME: home };
    const times = (name: string, command: readonly string[]): TimedCommand => ({
      name,
      command: ["bash", "-c", 'for i in $(seq 64); do "$@" & done; wait', "bash", ...command],
      env,
    });
    await measure("64 processes at once, each from the stored token", [
      times("read and parse the same file", denoProgram("read_parse.ts", key)),
      times("this module, 64 times", denoProgram("cached_start.ts", ISSUER, CLIENT_ID)),
    ]);
  },
  refresh: async (folder) => {
    for (const answerDelayMs of [0, 20]) {
      await measureRefresh(`${folder}/${answerDelayMs}`, answerDelayMs);
    }
  },
};

/** The least that a start, a refresh and a program of the command line do, and this module's, by how it is installed. */
async function measureInstalled(folder: string): Promise<void> {
  await using jsr = await startJsrRegistry();
  await using npm = await startNpmRegistry();
  await using provider = await ProviderProcess.start();
  const { issuer, clientId } = provider;
  const home = `${folder}/home`;
  const path = pathIn(home);
  await new FileCredentialsBackend({ path }).put(
    credentialKey(ISSUER, CLIENT_ID),
    storedEntry(CLIENT_ID),
  );
  const floors = await publishFloor(folder, jsr, npm);
  const forms = [
    {
      form: "the repository",
      specifier: new URL("../../../", import.meta.url).href,
      env: {},
      floor: denoProgram("read_parse.ts"),
    },
    { form: "JSR", specifier: "jsr:@validmind/auth", env: jsr.env, floor: floors.jsr },
    { form: "npm", specifier: "npm:@validmind/auth", env: npm.env, floor: floors.npm },
  ];
  const rows = forms.flatMap((one) => [one, {
    ...one,
    form: `${one.form}, lazy-dynamic-imports`,
    env: { ...one.env, DENO_UNSTABLE_LAZY_DYNAMIC_IMPORTS: "1" },
  }]);
  const config = fromFileUrl(new URL("../../../deno.json", import.meta.url));
  const start = (specifier: string, program: string, ...args: string[]) => {
    const isHere = specifier.startsWith("file:");
    const place = isHere ? `--config=${config}` : "--no-config";
    const command = [DENO, "run", "-q", "-A", place] as const;
    const [main, cli] = isHere
      ? [`${specifier}mod.ts`, `${specifier}client/cli.ts`]
      : [specifier, `${specifier}/cli`];
    if (program === "cli") return [...command, cli, ...args] as const;
    const code = Deno.readTextFileSync(`${import.meta.dirname}/programs/${program}`);
    const file = `${folder}/${program}_${specifier.replace(/\W/g, "")}.ts`;
    Deno.writeTextFileSync(file, code.replace("@validmind/auth", main));
    return [...command, file, ...args] as const;
  };
  const identity = { VM_OIDC_ISSUER: ISSUER, VM_OIDC_CLIENT_ID: CLIENT_ID };
  const key = credentialKey(ISSUER, CLIENT_ID);
  const measureForms = async (title: string, program: string, ...args: string[]) =>
    await measure(
      title,
      rows.flatMap(({ form, specifier, floor, env }, place): TimedCommand[] => {
        const all = { HOME: home, ...identity, ...env };
        const command = start(specifier, program, ...args);
        const own = { name: form, command, env: all };
        if (place % 2 === 1) return [own];
        const name = `the least in the form of ${form}`;
        return [{ name, command: [...floor, key], env: all, isLeast: true }, own];
      }),
    );
  await measureForms("Start from a stored token", "cached_start.ts", ISSUER, CLIENT_ID);
  await measureForms("token", "cli", "token");
  await measureForms("--version", "cli", "--version");

  const refreshing: TimedCommand[] = [];
  const least = { form: "the least that would do", program: "raw_refresh.ts" };
  const all = [{ ...least, specifier: "", env: {} }, ...rows];
  for (const [place, { form, specifier, env, ...given }] of all.entries()) {
    const home = `${folder}/refresh${place}`;
    const path = pathIn(home);
    await provider.signIn(new FileCredentialsBackend({ path }));
    const command = "program" in given
      ? denoProgram("raw_refresh.ts", issuer, clientId, path)
      : start(specifier, "cached_start.ts", issuer, clientId);
    refreshing.push({
      name: form,
      command,
      env: { HOME: home, ...env },
      before: () => expire(path),
    });
  }
  await measure("Refresh in a cold process", refreshing);
}

/** Publishes the least that a start does, and gives the commands that run it from each registry. */
async function publishFloor(folder: string, jsr: JsrRegistry, npm: NpmRegistry) {
  const name = "@bench/floor";
  const source = await Deno.readTextFile(programPath("read_parse.ts"));
  const code = source.replace("]!", "]"); // all that is not JavaScript
  const exports = { ".": "./mod.js" };
  jsr.add({ name, version: "1.0.0", files: { "mod.js": code }, exports });
  const work = `${folder}/floor/package`;
  await Deno.mkdir(work, { recursive: true });
  await Deno.writeTextFile(`${work}/mod.js`, code);
  const manifest = { name, version: "1.0.0", type: "module", exports };
  await Deno.writeTextFile(`${work}/package.json`, JSON.stringify(manifest));
  await mustRun(["tar", "-czf", `${work}.tgz`, "-C", `${folder}/floor`, "package"]);
  await npm.publish(`${work}.tgz`);
  const run = (registry: string) => {
    const file = `${folder}/floor_${registry}.ts`;
    Deno.writeTextFileSync(file, `import "${registry}:${name}";\n`);
    return [DENO, "run", "-q", "-A", "--no-config", file] as const;
  };
  return { jsr: run("jsr"), npm: run("npm") };
}

/** @param answerDelayMs How long the provider takes for each answer, beside its work. */
async function measureRefresh(folder: string, answerDelayMs: number): Promise<void> {
  await using provider = await ProviderProcess.start({ answerDelayMs });
  const { issuer, clientId } = provider;
  const refresher = async (name: string, program: string): Promise<TimedCommand> => {
    const home = `${folder}/${program}`;
    const path = pathIn(home);
    await provider.signIn(new FileCredentialsBackend({ path }));
    const command = denoProgram(program, issuer, clientId, path);
    return { name, command, env: { HOME: home }, before: () => expire(path) };
  };
  await measure(`Refresh in a cold process, with answers of ${answerDelayMs} ms`, [
    await refresher("read, refresh by oauth4webapi, write with fsync", "raw_refresh.ts"),
    await refresher(OURS, "cached_start.ts"),
  ]);
}

function tellLeftOut(name: string): void {
  console.log(`Left out: ${name}. Run: deno task servers ${name}`);
}

/** A start from each store. Those that need a server are left out where it is missing. */
async function measureStores(folder: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const stores: { name: string; more?: Record<string, string> }[] = [];
  for (const name of ["memory", "file", "kv", "encrypted", "helper"]) stores.push({ name });
  if (await hasServer("vault")) {
    const vault = stack.use(await startVault());
    const token = await userToken(vault, "anna");
    stores.push({ name: "vault", more: { VAULT_ADDR: vault.url, VAULT_TOKEN: token } });
  } else tellLeftOut("vault");
  if (await isOnPath("gnome-keyring-daemon") && await isOnPath("dbus-daemon")) {
    const session = stack.use(await startKeyringSession());
    stores.push({ name: "keychain", more: session.env });
  } else tellLeftOut("keychain");

  const key = credentialKey(ISSUER, CLIENT_ID);
  const path = `${folder}/store`;
  const entry = JSON.stringify(storedEntry(CLIENT_ID));
  const env = { HOME: folder, KEY: crypto.getRandomValues(new Uint8Array(32)).toHex() };
  writeProgram(`${path}.sh`, HELPER.replaceAll("FILE", `${path}.helper`));
  const least = denoProgram("read_parse.ts", key);
  await new FileCredentialsBackend({ path: pathIn(folder) }).put(key, storedEntry(CLIENT_ID));
  const commands: TimedCommand[] = [{ name: "read and parse a file", command: least, env }];
  for (const { name, more } of stores) {
    const args = [ISSUER, CLIENT_ID, name, path, key];
    const all = { ...env, ...more };
    await mustRun(denoProgram("store_start.ts", ...args, entry), { env: all });
    const seed = name === "memory" ? [entry] : [];
    const command = denoProgram("store_start.ts", ...args, ...seed);
    commands.push({ name, command, env: all });
  }
  await measure("Start from a token in each store", commands);
}

/** A program that keeps one entry, by the protocol of docker's credential helpers. */
const HELPER = `#!/bin/sh
case "$1" in
  store) cat >FILE ;;
  get) cat FILE ;;
  list) echo "{}" ;;
  erase) rm -f FILE ;;
esac
`;

/** About 3 KB, as with a JWT access token of a large organisation. */
function storedEntry(clientId: string): OidcCredentials {
  return entry({
    issuer: ISSUER,
    client_id: clientId,
    access_token: "a".repeat(1400),
    id_token: `e30.${"i".repeat(1000)}.s`,
    expires_at: "2099-01-01T00:00:00.000Z",
  });
}

/** Costs of a start from a file with so many entries. */
async function measureEntries(folder: string): Promise<void> {
  console.log("A start from a stored token: medians of CPU in ms and of peak memory in MB");
  for (const count of [1, 100, 1_000, 10_000]) {
    const home = `${folder}/${count}`;
    const backend = new FileCredentialsBackend({ path: pathIn(home) });
    await backend.put(credentialKey(ISSUER, CLIENT_ID), storedEntry(CLIENT_ID));
    const document = JSON.parse(await Deno.readTextFile(pathIn(home)));
    for (let other = 1; other < count; other++) {
      const clientId = `${CLIENT_ID}-${other}`;
      document.credentials[credentialKey(ISSUER, clientId)] = storedEntry(clientId);
    }
    await Deno.writeTextFile(pathIn(home), JSON.stringify(document, null, 2));
    const [program, ...args] = denoProgram("cost_of_start.ts", ISSUER, CLIENT_ID);
    const costs: { cpuMs: number; peakMb: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const child = new Deno.Command(program, { args, env: { HOME: home }, stderr: "inherit" });
      const cost = JSON.parse(new TextDecoder().decode((await child.output()).stdout));
      if (round > 0) costs.push(cost); // the first fills the caches
    }
    const [cpuMs, peakMb] = (["cpuMs", "peakMb"] as const).map((name) =>
      median(costs.map((cost) => cost[name])).toFixed(0)
    );
    const { size } = await Deno.stat(pathIn(home));
    console.log(`  ${count} entries, ${(size / 1e6).toFixed(1)} MB: ${cpuMs} ms, ${peakMb} MB`);
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const pathIn = (home: string) => `${home}/.validmind/credentials.json`;

/** Sets the end of the stored token back. */
async function expire(path: string): Promise<void> {
  const backend = new FileCredentialsBackend({ path });
  const [key = ""] = await Array.fromAsync(backend.list());
  await backend.put(key, { ...backend.get(key)!, expires_at: "2020-01-01T00:00:00Z" });
}

/** The cost of one run, in milliseconds. */
interface Cost {
  readonly wall: number;
  /** Of all its threads. */
  readonly cpu: number;
}

/**
 * Times programs by turns, so that whatever else the machine does meets all of them alike. One round
 * goes first, unmeasured, to fill the caches.
 */
async function measure(title: string, commands: readonly TimedCommand[]): Promise<void> {
  const costs = commands.map(() => [] as Cost[]);
  for (let round = 0; round <= rounds; round++) {
    for (const [place, command] of commands.entries()) {
      const cost = await timeOnce(command);
      if (round > 0) costs[place]!.push(cost);
    }
  }
  console.log(`${title}: median and quartiles in ms of wall and CPU time, ratios to the least`);
  let least = costs[0]!;
  for (const [place, { name, isLeast }] of commands.entries()) {
    if (isLeast) least = costs[place]!;
    const words = (["wall", "cpu"] as const).map((kind) => {
      const [floor, own] = [least, costs[place]!].map((some) => quartiles(some, kind));
      const [median, lower, upper] = own!.map((ms) => ms.toFixed(0));
      return `${median} (${lower}–${upper}), ${(own![0]! / floor![0]!).toFixed(2)} ×`;
    });
    console.log(`  ${name}: ${words.join("; CPU ")}${verdictOn(name, least, costs[place]!)}`);
  }
}

/** Median, and the quartiles around it: one slow start in a noisy machine moves none of them. */
function quartiles(costs: readonly Cost[], kind: keyof Cost): number[] {
  const sorted = costs.map((cost) => cost[kind]).sort((a, b) => a - b);
  return [0.5, 0.25, 0.75].map((q) => sorted[Math.round((sorted.length - 1) * q)]!);
}

function verdictOn(name: string, floor: readonly Cost[], own: readonly Cost[]): string {
  if (name !== OURS) return "";
  const ratio = quartiles(own, "wall")[0]! / quartiles(floor, "wall")[0]!;
  return ratio <= BAR ? `, within ${BAR}` : `, OVER ${BAR}`;
}

/** The shell tells the CPU time of its children, which Deno does not. */
async function timeOnce({ name, command, env, before }: TimedCommand): Promise<Cost> {
  await before?.();
  const script = '"$@" >/dev/null; code=$?; times; exit $code';
  const child = new Deno.Command("bash", {
    args: ["-c", script, "bash", ...command],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stderr: "piped",
  });
  const begin = performance.now();
  const { success, stdout, stderr } = await child.output();
  const wall = performance.now() - begin;
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot time ${name}: it failed.\n${decoder.decode(stderr)}`);
  const ofChildren = decoder.decode(stdout).trim().split("\n").at(-1)!;
  const cpu = Array.from(
    ofChildren.matchAll(/(\d+)m([\d.,]+)s/g),
    ([, minutes, seconds]) => Number(minutes) * 60_000 + Number(seconds!.replace(",", ".")) * 1000,
  );
  return { wall, cpu: cpu.reduce((sum, one) => sum + one, 0) };
}

const ROUNDS = "--rounds=";
const given = import.meta.main ? Deno.args : [];
const words = given.filter((arg) => !arg.startsWith(ROUNDS));
const rounds = Number(given.find((arg) => !words.includes(arg))?.slice(ROUNDS.length) ?? 30);

if (import.meta.main) {
  const names = words.length > 0 ? words : ["cold", "refresh"];
  const unknown = names.find((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown !== undefined || !(rounds > 0)) {
    console.error(
      "Cannot run: deno task bench [cold] [refresh] [installed] [stores] [peers] [many] [entries] [--rounds=30]",
    );
    Deno.exit(2);
  }
  for (const name of names) {
    await using folder = await tempDir("bench-");
    await SECTIONS[name]!(folder.path);
  }
}
