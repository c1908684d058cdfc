import { KvCredentialsBackend } from "@validmind/auth";
import { startBenchKeyring } from "../bench_keyring.ts";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "../bench_world.ts";
import { measureCommands, type TimedCommand } from "../measure_commands.ts";
import { type Peers, writePeerCaches } from "../peers.ts";
import { type JsrRegistry, startJsrRegistry } from "../../../support/jsr_registry.ts";
import { DENO, denoCommand, findDenoDir, runProcess } from "../../../support/deno_process.ts";
import type { KeyringSession } from "../../../support/servers/keyring_session.ts";

/** Whole processes, from their start to their end, that put a stored token into a header. */
export async function coldStart(options: BenchOptions, peers: Peers): Promise<BenchSection> {
  const { folder, effort } = options;
  await using keyring = await startBenchKeyring();
  await using registry = await startJsrRegistry();
  const commands = [
    ...await ownCommands(folder),
    ...await jsrCommands(folder, registry),
    ...await keychainCommands(keyring),
    ...await peerCommands(folder, peers),
  ];
  const measured = await measureCommands(commands, Math.ceil(40 * effort));
  const base = "read and parse the same file";
  return {
    title: "Cold start to a bearer header from a valid stored token",
    unit: "ms",
    base,
    rows: toRows(measured, base, { "this module, file": 1.25 }),
  };
}

async function ownCommands(folder: string): Promise<TimedCommand[]> {
  const env = { HOME: await benchHome(folder) };
  const kvPath = `${folder}/own.db`;
  await using backend = asyncClosing(new KvCredentialsBackend({ path: kvPath }));
  await backend.value.put(KEY, benchEntry());
  const rawKvPath = `${folder}/raw.db`;
  const kv = await Deno.openKv(rawKvPath);
  await kv.set(["token"], benchEntry());
  kv.close();
  return [
    { name: "an empty program", command: denoProgram("empty.ts"), env },
    { name: "read and parse the same file", command: denoProgram("read_parse.ts", KEY), env },
    {
      name: "this module, file",
      command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID),
      env,
    },
    { name: "one get of Deno KV", command: denoProgram("read_kv.ts", rawKvPath), env },
    {
      name: "this module, Deno KV",
      command: denoProgram("cached_start_kv.ts", ISSUER, CLIENT_ID, kvPath),
      env,
    },
  ];
}

/** As a user has it: published, imported by a script that has no deno.json. */
async function jsrCommands(folder: string, { env }: JsrRegistry): Promise<TimedCommand[]> {
  const text = await Deno.readTextFile(`${import.meta.dirname}/../programs/cached_start.ts`);
  const path = `${folder}/from_jsr.ts`;
  await Deno.writeTextFile(path, text.replace("@validmind/auth", "jsr:@validmind/auth"));
  const command = (...flags: string[]): TimedCommand["command"] => {
    const all = ["--no-config", "-A", ...flags];
    return denoCommand({ file: path, config: false, flags: all, args: [ISSUER, CLIENT_ID] });
  };
  const own = { env: { ...env, HOME: `${folder}/home` } };
  return [
    { name: "this module, file, from JSR", command: command(), ...own },
    {
      name: "this module, JSR, lazy imports",
      command: command("--unstable-lazy-dynamic-imports"),
      ...own,
    },
  ];
}

async function keychainCommands(keyring: KeyringSession | undefined): Promise<TimedCommand[]> {
  if (keyring === undefined) return [];
  const env = { ...keyring.env, DENO_DIR: findDenoDir() };
  const { code, stderr } = await runProcess(denoProgram("put_keychain.ts"), { env });
  if (code !== 0) throw new Error(`Cannot fill the keyring: ${stderr}`);
  const own = denoProgram("cached_start_keychain.ts", ISSUER, CLIENT_ID);
  return [
    { name: "one get of the keychain's library", command: denoProgram("read_keychain.ts"), env },
    { name: "this module, keychain", command: own, env },
  ];
}

async function peerCommands(folder: string, peers: Peers): Promise<TimedCommand[]> {
  const { msal, google } = await writePeerCaches(folder, benchEntry().access_token);
  const commands: TimedCommand[] = [];
  const programs: [string, string, string[]][] = [
    ["msal-node", "msal_start.mjs", msal],
    ["google-auth-library", "google_start.mjs", google],
  ];
  for (const [name, program, args] of peers.node === undefined ? [] : programs) {
    const path = `${peers.folder}/${program}`;
    commands.push(
      { name: `${name} on Deno`, command: [DENO, "run", "-A", path, ...args] },
      { name: `${name} on Node`, command: [peers.node!, path, ...args] },
    );
  }
  if (peers.python !== undefined) {
    const program = `${import.meta.dirname}/../programs/msal_start.py`;
    commands.push({ name: "msal for Python", command: [peers.python, program, ...msal] });
  }
  return commands;
}

function asyncClosing<T extends { close(): Promise<void> }>(value: T) {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}
