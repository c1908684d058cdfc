import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { isGranted, runLine, withOwn } from "./permission.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";
import { isDeno, isWindows } from "./runtime.ts";

/** The variable that names the home folder. */
export const HOME_VARIABLE = isWindows ? "USERPROFILE" : "HOME";

/** The variables by which Deno sends `http:` to a proxy, or past it. The same in small letters count, too. */
export const PROXY_VARIABLES = ["NO_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/** Those of the variables that tell whether a request to this computer would go to a proxy. */
export function proxyPermissions(url: string): BackendPermission[] {
  if (!/^http:/i.test(url)) return [];
  const names = PROXY_VARIABLES.flatMap((name) => [name, name.toLowerCase()]);
  return names.map((variable) => ({ name: "env", variable, need: "optional" }));
}

/** The text of a variable. Throws where Deno denies it. */
export function getEnv(name: string): string | undefined {
  try {
    if (isDeno) return Deno.env.get(name); // its `process` takes as long as a start
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    // Deno's own words have the text, which may be a secret.
    throw invalid(name, "it is not UTF-8 text");
  }
  const { process } = globalThis as { process?: { env: Record<string, string | undefined> } };
  return process?.env[name]; // a browser has none
}

/** The text of a variable; `undefined` where it is unset, blank or not granted. Nobody is asked. */
export function readEnvIfGranted(name: string): string | undefined {
  if (!isEnvGranted(name)) return undefined;
  const text = getEnv(name);
  if (!text?.trim()) return undefined;
  return text;
}

export function isEnvGranted(name: string): boolean {
  return isGranted({ name: "env", variable: name });
}

/**
 * Reads a variable that the caller needs. `undefined` where it is unset or blank; an error where Deno
 * does not grant it. Nobody is asked.
 */
export function readEnv(name: string, purpose: string): string | undefined {
  if (isEnvGranted(name)) return readEnvIfGranted(name);
  const withAll = runLine("-A") + withOwn();
  throw new CredentialsBackendError("permission_required", {
    action: purpose,
    reason: `Deno does not permit the variable ${name}`,
    remedy: `Run with --allow-env=${name}, or with all permissions:\n  ${withAll}`,
  });
}

/** The text of a variable that has to be set. */
export function needEnv(name: string, purpose: string, remedy: string): string {
  const text = readEnv(name, purpose);
  if (text !== undefined) return text;
  throw new CredentialsBackendError("env_unset", {
    action: purpose,
    reason: `the variable ${name} is not set`,
    remedy,
  });
}

/**
 * The value of a variable that is yes or no; `undefined` where it is unset or empty. Any other word is
 * an error: its meaning must not be guessed.
 */
export function parseFlag(
  name: string,
  value: string | undefined | null,
): boolean | undefined {
  const text = value?.trim().toLowerCase() ?? "";
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  if (text === "") return undefined;
  throw invalid(name, "it is neither 1, true or yes nor 0, false or no");
}

function invalid(name: string, reason: string) {
  const remedy = "Correct it, or unset it.";
  const action = `read the variable ${name}`;
  return new CredentialsBackendError("env_invalid", { action, reason, remedy });
}

/** A variable in the options of a backend. */
export const REFERENCE = /\$\{([^}]*)\}/g;

export const VARIABLE = /^[A-Za-z_]\w{0,199}$/;

/** The variables in the text of a backend's options. */
export function variablesIn(text: string): string[] {
  const names = [...text.matchAll(REFERENCE)].map(([, name = ""]) => name);
  return [...new Set(names.filter((name) => VARIABLE.test(name)))];
}
