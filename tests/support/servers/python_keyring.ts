import type { PythonVenv } from "./python_venv.ts";

/** From PyPI. */
export const PYTHON_KEYRING_VERSION = "25.7.0";

/** Python with the keyring library. */
export const PYTHON_KEYRING_VENV: PythonVenv = {
  name: `python-keyring-${PYTHON_KEYRING_VERSION}`,
  installs: [[`keyring==${PYTHON_KEYRING_VERSION}`]],
};
