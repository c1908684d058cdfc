import { makeVenv, pythonOf, type PythonVenv, type RunProgram } from "./python_venv.ts";

/** The release of the ValidMind Python library that the tests run beside. */
export const PYTHON_LIBRARY_VERSION = "2.15.0";

/** The library without its heavy dependencies: its sign-in and store need one of the many. */
export const PYTHON_LIBRARY_VENV: PythonVenv = {
  name: `python-${PYTHON_LIBRARY_VERSION}`,
  installs: [["--no-deps", `validmind==${PYTHON_LIBRARY_VERSION}`], ["requests"]],
};

/** The interpreter that has the library, or `undefined` where none was made. */
export function pythonWithLibrary(): Promise<string | undefined> {
  return pythonOf(PYTHON_LIBRARY_VENV);
}

/** Makes a virtual environment with the library. Returns whether there was none before. */
export function makePythonLibrary(run: RunProgram): Promise<boolean> {
  return makeVenv(PYTHON_LIBRARY_VENV, run);
}
