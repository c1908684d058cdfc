import { BACKEND_VARIABLES } from "../common/backend_choice.ts";
import { HOME_VARIABLE, needEnv, REFERENCE, VARIABLE } from "../common/environment.ts";
import { isObject } from "../common/json.ts";
import { isPathSpecifier } from "../common/paths.ts";
import { Once } from "../common/promises.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { FileCredentialsBackend } from "../file.ts";
import { KvCredentialsBackend } from "../kv.ts";
import { MemoryCredentialsBackend } from "../memory.ts";
import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import {
  importBackend,
  type ModuleSpec,
  type Options,
  type SettingOrigin,
  showSpec,
} from "./import_backend.ts";

/** The options that a store has to have, with examples. */
const NEEDED: Readonly<Record<string, Options>> = {
  vault: { path: "users/anna" },
  helper: { program: "docker-credential-pass" },
  encrypted: {
    backend: { name: "file", options: { path: `\${${HOME_VARIABLE}}/.validmind/sealed.json` } },
    key: { env: "TOKENS_KEY" },
  },
  fallback: { backends: ["keychain", "file"] },
};

/** Gives a class of backends. Its constructor takes the options as one object, and checks them. */
type BackendLoader = () => MaybePromise<new (options: never) => OidcCredentialsBackend>;

/**
 * The built-in backends, by the word that names each. Few people use those that are loaded where a setting
 * names them.
 */
export const BUILT_IN_BACKENDS: Readonly<Record<string, BackendLoader>> = {
  file: () => FileCredentialsBackend,
  memory: () => MemoryCredentialsBackend,
  kv: () => KvCredentialsBackend,
  vault: async () => (await import("../vault.ts")).VaultCredentialsBackend,
  keychain: async () => (await import("../keychain.ts")).KeychainCredentialsBackend,
  helper: async () => (await import("../helper.ts")).HelperCredentialsBackend,
  encrypted: async () => (await import("../encrypted.ts")).EncryptedCredentialsBackend,
  fallback: async () => (await import("../fallback.ts")).FallbackCredentialsBackend,
};

export const BUILT_IN_NAMES: readonly string[] = Object.keys(BUILT_IN_BACKENDS);

/** A backend by its name, with the places from which name and options were read. */
export interface NamedBackend {
  readonly name: string;
  /** One JSON object, if there is one. */
  readonly options: string | undefined;
  readonly origin: SettingOrigin;
}

/** A built-in backend by its name, or a class of a module. */
type BackendSpec = { readonly name: string } | ModuleSpec;

/**
 * Parses a backend's name: a built-in one, or `MODULE:EXPORT`, which is split at
 * the last colon. A `#` serves as well. `origin` is the variable or flag that holds the name.
 */
export function parseBackendSpec(spec: string, origin: string): BackendSpec {
  const text = spec.trim();
  if (BUILT_IN_NAMES.includes(text)) return { name: text };
  const [, specifier, exportName] = /^(.+)[:#]([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(text) ??
    [];
  if (specifier === undefined || exportName === undefined) {
    throw specError(text, origin, "it is neither a built-in name nor MODULE:EXPORT");
  }
  if (isPathSpecifier(specifier) || /^(file|jsr|npm|node|data):./.test(specifier)) {
    return { specifier, exportName };
  }
  const advice = origin === BACKEND_VARIABLES.name ? INSTEAD + OF_PYTHON : INSTEAD;
  throw specError(text, origin, UNSUPPORTED, "backend_import_unsupported", advice);
}

const UNSUPPORTED =
  "a package from JSR imports neither http: and https: modules nor the names of your import map";

const INSTEAD =
  "Name a path, or a jsr:, npm: or file: module, or import it in your own code and pass an instance: " +
  "setDefaultBackend(new …), or as the option credentialsBackend. ";

/** For the variable that the Python library reads as well. */
const OF_PYTHON = `If it is a class for the Python library, name the backend of this module in ` +
  `${BACKEND_VARIABLES.ownName}, which wins here. `;

function specError(
  spec: string,
  origin: string,
  reason: string,
  code: CredentialsBackendErrorCode = "backend_spec_invalid",
  advice = "",
) {
  return new CredentialsBackendError(code, {
    action: `use ${origin}="${showSpec(spec)}"`,
    reason,
    remedy:
      `${advice}Give one of ${BUILT_IN_NAMES.join(", ")}, or a module and its export such as ` +
      '"./my_backend.ts:MyBackend" or "jsr:@acme/vault:VaultBackend".',
  });
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

function lookUp(name: string, source: string) {
  // Without the name: it may be part of a password.
  if (!VARIABLE.test(name)) throw kwargsError(source, "a ${…} in it does not name a variable");
  const purpose = `expand \${${name}} in ${source}`;
  return needEnv(name, purpose, "Set it, or write the value itself.");
}

function kwargsError(
  source: string,
  reason: string,
  remedy =
    `Give one JSON object with the backend's options, such as {"path": "\${${HOME_VARIABLE}}/credentials.json"}.`,
) {
  const action = `read ${source}`;
  return new CredentialsBackendError("backend_kwargs_invalid", { action, reason, remedy });
}

/** One instance per setting, so that a second `init()` in a process finds the first one's entries. */
const instances = new Map<string, Once<OidcCredentialsBackend>>();

/** The backend that a setting names. Equal settings give the same instance within a process. */
export async function sharedBackend(
  { name, options: text, origin }: NamedBackend,
): Promise<OidcCredentialsBackend> {
  const spec = parseBackendSpec(name, origin.name);
  const options = text === undefined ? {} : parseBackendKwargs(text, origin.options);
  const setting = JSON.stringify([spec, options]);
  const instance = instances.get(setting) ?? new Once();
  instances.set(setting, instance);
  return await instance.get(() => createBackend(spec, options, origin));
}

async function createBackend(
  spec: BackendSpec,
  options: Options,
  origin: SettingOrigin,
) {
  if ("specifier" in spec) return await importBackend(spec, options, origin);
  const made = await withBackends(options, "", origin);
  const Backend = await BUILT_IN_BACKENDS[spec.name]!();
  const needed = NEEDED[spec.name] ?? {};
  const missing = Object.keys(needed).filter((name) => options[name] === undefined);
  if (missing.length > 0) {
    const remedy =
      `Give one JSON object there, such as ${JSON.stringify(needed)}; in code they are ` +
      `options of ${Backend.name}.`;
    throw kwargsError(origin.options, `${spec.name} needs ${missing.join(" and ")}`, remedy);
  }
  return new Backend(made as never);
}

/** The options with a backend for each name of one: the value of `backend`, and each item of `backends`. */
async function withBackends(
  value: unknown,
  place: string,
  origin: SettingOrigin,
  isList = false,
): Promise<unknown> {
  if (Array.isArray(value)) {
    const make = isList ? createNested : withBackends;
    const items = value.map((item, index) => make(item, `${place}[${index}]`, origin));
    return await Promise.all(items);
  }
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(async ([name, item]) => {
    const make = name === "backend" ? createNested : withBackends;
    return [name, await make(item, `${place}.${name}`, origin, name === "backends")];
  });
  return Object.fromEntries(await Promise.all(members));
}

/** A backend by its name or `MODULE:EXPORT`, or by `{ name, options }`. */
async function createNested(
  value: unknown,
  place: string,
  origin: SettingOrigin,
) {
  const { name, options = {}, ...rest } = isObject(value) ? value : { name: value };
  const source = origin.options;
  if (typeof name !== "string" || !isObject(options) || Object.keys(rest).length > 0) {
    const remedy =
      `Give its name, such as "file", or {"name": "file", "options": {"path": "\${${HOME_VARIABLE}}/tokens.json"}}.`;
    throw kwargsError(source, `"${place.slice(1)}" does not name a backend`, remedy);
  }
  const inner = { name: source + place, options: `${source}${place}.options` };
  return await createBackend(parseBackendSpec(name, inner.name), options, inner);
}
