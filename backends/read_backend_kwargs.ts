import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { readEnv } from "./read_env.ts";

/** The variable that holds the backend's options. */
export const KWARGS_VARIABLE = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";

/**
 * The options that the environment gives a backend: one JSON object, in which `${NAME}` in a string
 * value stands for that variable. No value is ever shown in an error: it may be a secret.
 */
export function readBackendKwargs(): Record<string, unknown> {
  const text = readEnv(KWARGS_VARIABLE, "read the backend's options");
  return text === undefined ? {} : parseBackendKwargs(text, KWARGS_VARIABLE);
}

/**
 * The same from any text.
 *
 * @param source Where the text is from, for errors.
 */
export function parseBackendKwargs(text: string, source: string): Record<string, unknown> {
  const value = parse(text, source);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidKwargs(source, "it is not one JSON object");
  }
  return expand(value, "", source) as Record<string, unknown>;
}

function parse(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidKwargs(source, "it is not JSON"); // without the cause: it quotes the text
  }
}

function expand(value: unknown, path: string, source: string): unknown {
  if (typeof value === "string") {
    return value.replace(/\$\{([^}]*)\}/g, (_, name: string) => lookUp(name, path, source));
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => expand(item, `${path}[${index}]`, source));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map((
      [name, item],
    ) => [name, expand(item, path ? `${path}.${name}` : name, source)]),
  );
}

function lookUp(name: string, path: string, source: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    // Without the name: it may be part of a password.
    throw invalidKwargs(source, `a \${…} in "${path}" does not name a variable`);
  }
  const value = readEnv(name, `expand \${${name}} in ${source}`);
  if (value !== undefined) return value;
  throw new CredentialsBackendError(
    "env_unset",
    `Cannot read ${source}: "${path}" uses \${${name}}, which is not set. Set ${name}, or ` +
      `write the value itself.`,
  );
}

function invalidKwargs(source: string, reason: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_kwargs_invalid",
    `Cannot read ${source}: ${reason}. Give one JSON object with the backend's options, ` +
      `such as {"path": "\${HOME}/credentials.json"}.`,
  );
}
