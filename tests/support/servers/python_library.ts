import { isThere } from "./server_binary.ts";

/** The release of the ValidMind Python library that the tests run beside. */
export const PYTHON_LIBRARY_VERSION = "2.15.0";

/** The one dependency, of many, that the library's sign-in and store need. */
const NEEDED = "requests";
/** Kept from the start: a test may change HOME for as long as it runs. */
const CACHE = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;
const FOLDER = `${CACHE}/validmind-auth/servers/python-${PYTHON_LIBRARY_VERSION}`;

/** The interpreter that has the library, or `undefined` where none was made. */
export async function pythonWithLibrary(): Promise<string | undefined> {
  return await isThere(readyFile(FOLDER)) ? pythonIn(FOLDER) : undefined;
}

/**
 * Makes a virtual environment with the library, without its heavy dependencies.
 *
 * @param run Runs a program to its end, and throws where that fails.
 * @returns Whether there was none before.
 */
export async function makePythonLibrary(
  run: (program: string, args: string[]) => Promise<void>,
): Promise<boolean> {
  if (await pythonWithLibrary() !== undefined) return false;
  await run("python3", ["-m", "venv", "--clear", FOLDER]);
  const pip = (...args: string[]) => run(pythonIn(FOLDER), ["-m", "pip", "install", "-q", ...args]);
  await pip("--no-deps", `validmind==${PYTHON_LIBRARY_VERSION}`);
  await pip(NEEDED);
  await Deno.writeTextFile(readyFile(FOLDER), "");
  return true;
}

function pythonIn(folder: string): string {
  return Deno.build.os === "windows" ? `${folder}/Scripts/python.exe` : `${folder}/bin/python`;
}

/** Written last, so that a stopped installation never looks finished. */
function readyFile(folder: string): string {
  return `${folder}/ready`;
}
