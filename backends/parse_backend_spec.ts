import { CredentialsBackendError } from "./credentials_backend_error.ts";

/** The variable that names the backend. */
export const BACKEND_VARIABLE = "VM_OIDC_CREDENTIALS_BACKEND";

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
