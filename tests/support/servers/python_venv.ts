import { isThere } from "./server_binary.ts";

/** Kept from the start: a test may change HOME for as long as it runs. */
const CACHE = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;

/** Runs a program to its end, and throws where that fails. */
export type RunProgram = (program: string, args: string[]) => Promise<void>;

/** A virtual environment of Python in the cache folder. */
export interface PythonVenv {
  /** Name of its folder; has the version of what is in it. */
  name: string;
  /** The arguments of each `pip install` that fills it. */
  installs: string[][];
  /** The interpreter that makes it, where that can be run. @default {the one on PATH} */
  python?: string;
  /** Packages of npm beside it, in its `node_modules`. */
  npm?: string[];
}

/** The interpreter of an environment, or `undefined` where none was made. */
export async function pythonOf({ name }: PythonVenv): Promise<string | undefined> {
  return await isThere(readyFile(name)) ? pythonIn(name) : undefined;
}

/** Makes an environment. Returns whether there was none before. */
export async function makeVenv(venv: PythonVenv, run: RunProgram): Promise<boolean> {
  if (await pythonOf(venv) !== undefined) return false;
  const folder = folderOf(venv.name);
  const python = venv.python !== undefined && await isThere(venv.python) ? venv.python : "python3";
  await run(python, ["-m", "venv", "--clear", folder]);
  for (const args of venv.installs) {
    await run(pythonIn(venv.name), ["-m", "pip", "install", "-q", ...args]);
  }
  if (venv.npm !== undefined) await run("npm", ["install", "--prefix", folder, ...venv.npm]);
  await Deno.writeTextFile(readyFile(venv.name), "");
  return true;
}

function folderOf(name: string): string {
  return `${CACHE}/validmind-auth/servers/${name}`;
}

function pythonIn(name: string): string {
  const folder = folderOf(name);
  return Deno.build.os === "windows" ? `${folder}/Scripts/python.exe` : `${folder}/bin/python`;
}

/** Written last, so that a stopped installation never looks finished. */
function readyFile(name: string): string {
  return `${folderOf(name)}/ready`;
}
