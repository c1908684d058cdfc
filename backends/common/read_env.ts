import { CredentialsBackendError } from "../credentials_backend_error.ts";

/** The variables that choose the backend, in the order in which they are read. */
export const BACKEND_VARIABLES = {
  /** Memory, whatever else is set. */
  noPersist: "VM_OIDC_NO_PERSIST",
  /** The backend's name and options, for this module alone. */
  ownName: "VM_OIDC_DENO_CREDENTIALS_BACKEND",
  ownOptions: "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS",
  /** The same for the Python library as well. */
  name: "VM_OIDC_CREDENTIALS_BACKEND",
  options: "VM_OIDC_CREDENTIALS_BACKEND_KWARGS",
} as const;

/**
 * Reads a variable if Deno grants it. Deno never asks the person for it. `undefined` where it is unset,
 * blank or not granted.
 */
export function readEnvIfGranted(name: string): string | undefined {
  const text = isEnvGranted(name) ? Deno.env.get(name) : undefined;
  return text?.trim() ? text : undefined;
}

/** A variable's text: `undefined` where it is not set, `null` where it may not be read. */
export type EnvReader = (variable: string) => string | undefined | null;

/** Reads what Deno grants. One question to Deno serves for all variables where all are granted. */
export function envReader(): EnvReader {
  const areAllGranted = Deno.permissions.querySync({ name: "env" }).state === "granted";
  return (variable) => areAllGranted || isEnvGranted(variable) ? Deno.env.get(variable) : null;
}

/** Whether Deno grants this variable already. */
export function isEnvGranted(name: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
}

/**
 * Reads a variable that the caller needs. `undefined` where it is unset or empty; an error where Deno
 * denies it.
 */
export function readEnv(name: string, purpose: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new CredentialsBackendError(
      "permission_required",
      `Cannot ${purpose}: the environment variable ${name} may not be read. ` +
        `Run with --allow-env=${name}.`,
    );
  }
}

/**
 * The value of a variable that is yes or no; `undefined` where it is unset or empty. Any other word is
 * an error: its meaning must not be guessed.
 */
export function parseFlag(name: string, value: string | undefined): boolean | undefined {
  const text = value?.trim().toLowerCase() ?? "";
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  if (text === "") return undefined;
  throw new CredentialsBackendError(
    "env_invalid",
    `Cannot read the variable ${name}: it is neither 1, true or yes nor 0, false or no. Set it to ` +
      `one of these, or unset it.`,
  );
}
