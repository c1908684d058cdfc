import { isObject, printable, redact } from "../common/printable.ts";
import {
  BACKEND_VARIABLES,
  HOME_VARIABLE,
  isPathSpecifier,
  readEnv,
  REFERENCE,
  VARIABLE,
} from "../common/platform.ts";
import {
  call,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  type Message,
  words,
} from "../credentials_backend_error.ts";
import { FileCredentialsBackend } from "../file.ts";
import { KvCredentialsBackend } from "../kv.ts";
import { MemoryCredentialsBackend } from "../memory.ts";
import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** Gives a class of backends. Its constructor takes the options as one object, and checks them. */
type BackendLoader = () => MaybePromise<new (options: never) => OidcCredentialsBackend>;

/**
 * The built-in backends, by the word that names each. Few people use those that are loaded where a setting
 * names them.
 */
export const BUILT_IN_BACKENDS = {
  file: () => FileCredentialsBackend,
  memory: () => MemoryCredentialsBackend,
  kv: () => KvCredentialsBackend,
  vault: async () => (await import("../vault.ts")).VaultCredentialsBackend,
  keychain: async () => (await import("../keychain.ts")).KeychainCredentialsBackend,
  helper: async () => (await import("../helper.ts")).HelperCredentialsBackend,
  encrypted: async () => (await import("../encrypted.ts")).EncryptedCredentialsBackend,
  fallback: async () => (await import("../fallback.ts")).FallbackCredentialsBackend,
} satisfies Readonly<Record<string, BackendLoader>>;

export type BuiltInName = keyof typeof BUILT_IN_BACKENDS;

export const BUILT_IN_NAMES = Object.keys(BUILT_IN_BACKENDS) as readonly BuiltInName[];

/** The places from which a setting was read, for errors: two variables, or two flags. */
export interface SettingOrigin {
  readonly name: string;
  readonly options: string;
}

export type BackendSpec =
  | { kind: "built-in"; name: BuiltInName }
  | { kind: "module"; specifier: string; exportName: string };

/**
 * Parses a backend's name: a built-in one, or `<module specifier>:<ExportName>`, which is split at
 * the last colon. A `#` serves as well. `origin` is the variable or flag that holds the name.
 */
export function parseBackendSpec(spec: string, origin: string): BackendSpec {
  const text = spec.trim();
  const name = BUILT_IN_NAMES.find((known) => known === text);
  if (name !== undefined) return { kind: "built-in", name };
  const [, specifier = "", exportName = ""] =
    /^(.+)[:#]([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(text) ?? [];
  if (specifier === "") {
    throw specError(text, origin, "it is neither a built-in name nor <module>:<ExportName>");
  }
  if (/^https?:/i.test(specifier)) {
    const reason =
      words`Deno does not let a package from JSR import http: and https: modules. Name a jsr:, npm: or
        file: module${OWN_INSTANCE}`;
    throw specError(text, origin, reason, "backend_import_unsupported");
  }
  if (!isPathSpecifier(specifier) && !/^(file|jsr|npm|node|data):./.test(specifier)) {
    const { name: shared, ownName } = BACKEND_VARIABLES;
    const python =
      `. Where it is a class for the Python library, name the backend of this module in ` +
      `${ownName}, which wins here`;
    const reason =
      `"${showSpec(specifier)}" is a bare name, and a package does not see your import ` +
      `map${origin === shared ? python : ""}`;
    throw specError(text, origin, reason);
  }
  return { kind: "module", specifier, exportName };
}

/** A backend's name, or the specifier in it, for an error. A query may hold a token. */
export function showSpec(spec: string): string {
  return printable(hideQueries(spec.slice(0, 1000)));
}

/** The way of code, which the command line leaves out. */
const OWN_INSTANCE = call(
  "setDefaultBackend",
  {},
  ", or import it in your own code and pass an instance: setDefaultBackend(new …), or as the option " +
    "credentialsBackend",
);

function specError(
  spec: string,
  origin: string,
  reason: Message,
  code: CredentialsBackendErrorCode = "backend_spec_invalid",
): CredentialsBackendError {
  return new CredentialsBackendError(
    code,
    words`Cannot use ${origin}="${showSpec(spec)}": ${reason}. Give one of
      ${BUILT_IN_NAMES.join(", ")}, or a module and its export such as
      "./my_backend.ts:MyBackend" or "jsr:@acme/vault:VaultBackend".`,
  );
}

/**
 * Parses the options of a backend: one JSON object, in which `${NAME}` in a string value stands for
 * that variable. An error names the `source` of the text and shows no value: it may be a secret.
 */
export function parseBackendKwargs(text: string, source: string): Record<string, unknown> {
  const expand = (value: string) => value.replace(REFERENCE, (_, name) => lookUp(name, source));
  let options: unknown;
  try {
    options = JSON.parse(text, (_, value) => typeof value === "string" ? expand(value) : value);
  } catch (error) {
    if (error instanceof CredentialsBackendError) throw error; // V8's own quotes the text
  }
  if (isObject(options)) return options;
  throw kwargsError(source, "it is not one JSON object");
}

function lookUp(name: string, source: string): string {
  // Without the name: it may be part of a password.
  if (!VARIABLE.test(name)) throw kwargsError(source, "a ${…} in it does not name a variable");
  const value = readEnv(name, `expand \${${name}} in ${source}`);
  if (value !== undefined) return value;
  throw new CredentialsBackendError(
    "env_unset",
    `Cannot read ${source}: it uses \${${name}}, which is not set. Set ${name}, or write the value ` +
      `itself.`,
  );
}

function kwargsError(source: string, reason: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_kwargs_invalid",
    `Cannot read ${source}: ${reason}. Give one JSON object with the backend's options, ` +
      `such as {"path": "\${${HOME_VARIABLE}}/credentials.json"}.`,
  );
}

/**
 * A third party's text for an error: without a piece of the texts that it was given, which may be
 * secrets, without the query of an address, which may hold a token, and without control characters.
 */
export function foreignText(text: string, given: unknown): string {
  return printable(redact(hideQueries(text.slice(0, 4_000)), textsIn(given)), 1_000);
}

/** Hides the query, the fragment and the user of each address in a text. */
function hideQueries(text: string): string {
  return text.replace(/\/\/[^\s/@"'<>]{1,1000}@/g, "//").replace(/(\?|%3F)[^\s"'<>]+/gi, "?…")
    .replace(/#[^\s"'<>]*[=&][^\s"'<>]*/g, "#…");
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return value.length < 4 ? [] : [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
