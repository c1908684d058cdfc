import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { readEnv } from "../common/read_env.ts";

/** The variable that names the backend. */
export const BACKEND_VARIABLE = "VM_OIDC_CREDENTIALS_BACKEND";

/** The variable that holds the backend's options. */
export const KWARGS_VARIABLE = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";

/** The built-in names that {@linkcode BACKEND_VARIABLE} and the options of some backends take. */
export const BUILT_IN_NAMES = [
  "file",
  "memory",
  "kv",
  "vault",
  "keychain",
  "encrypted",
  "fallback",
] as const;

/** One of them. */
export type BuiltInName = typeof BUILT_IN_NAMES[number];

/** What {@linkcode BACKEND_VARIABLE} says. */
export type BackendSpec =
  | { kind: "built-in"; name: BuiltInName }
  | { kind: "module"; specifier: string; exportName: string };

/**
 * Takes a backend's name apart: a built-in one, or `<module specifier>:<ExportName>`, split at the
 * last colon (`#` also serves).
 *
 * @param origin Where the name stands, for the error.
 * @throws {CredentialsBackendError} `backend_spec_invalid`; `backend_import_unsupported` for an
 * address that a package on JSR may not import.
 */
export function parseBackendSpec(spec: string, origin = BACKEND_VARIABLE): BackendSpec {
  const text = spec.trim();
  const name = BUILT_IN_NAMES.find((known) => known === text);
  if (name !== undefined) return { kind: "built-in", name };
  const [, specifier, exportName] = /^(.+)[:#]([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(text) ??
    [];
  if (specifier === undefined || exportName === undefined) {
    throw invalidSpec(text, origin, "it is neither a built-in name nor <module>:<ExportName>");
  }
  checkSpecifier(text, origin, specifier);
  return { kind: "module", specifier, exportName };
}

/** Whether a specifier is a path rather than an address. */
export function isPathSpecifier(specifier: string): boolean {
  return /^(\.{0,2}[/\\]|[A-Za-z]:[/\\])/.test(specifier);
}

function checkSpecifier(spec: string, origin: string, specifier: string): void {
  if (isPathSpecifier(specifier) || /^(file|jsr|npm|node|data):./.test(specifier)) return;
  const [scheme] = /^https?:/i.exec(specifier) ?? [];
  if (scheme !== undefined) {
    throw new CredentialsBackendError(
      "backend_import_unsupported",
      `Cannot use ${origin}="${shown(spec)}": Deno does not let a package from JSR import ` +
        `${scheme} modules. Name a jsr:, npm: or file: module, or import it ` +
        `in your own code and pass an instance: setDefaultBackend(new …) or ` +
        `init({ credentialsBackend: new … }).`,
    );
  }
  throw invalidSpec(
    spec,
    origin,
    `"${shown(specifier)}" is a bare name, and a package does not see your import map`,
  );
}

/** A name as it may be shown: without a password in an address, and cut short. */
function shown(spec: string): string {
  const bare = spec.replace(/\/\/[^/@]*@/, "//");
  return bare.length > 200 ? `${bare.slice(0, 200)}…` : bare;
}

function invalidSpec(spec: string, origin: string, reason: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_spec_invalid",
    `Cannot use ${origin}="${shown(spec)}": ${reason}. Give one of ` +
      `${BUILT_IN_NAMES.join(", ")}, or a module and its export such as ` +
      `"./my_backend.ts:MyBackend" or "jsr:@acme/vault:VaultBackend".`,
  );
}

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
