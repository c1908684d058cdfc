import { HOME_VARIABLE, isPathSpecifier, isWindows, needDeno } from "../common/platform.ts";
import { isObject, printable } from "../common/printable.ts";
import {
  assertCredentialsBackend,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import {
  type BackendSpec,
  BUILT_IN_BACKENDS,
  foreignText,
  parseBackendKwargs,
  parseBackendSpec,
  type SettingOrigin,
  showSpec,
} from "./backend_setting.ts";

/** Options from JSON: a name stands where the class takes a backend. Each class checks its own. */
type Options = Record<string, unknown>;

/** One instance per setting, so that a second `init()` in a process finds the first one's entries. */
const instances = new Map<string, Promise<OidcCredentialsBackend>>();

/** The backend that two texts name. Equal settings give the same instance within a process. */
export async function sharedBackend(
  name: string,
  text: string | undefined,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const spec = parseBackendSpec(name, origin.name);
  const options = text === undefined ? {} : parseBackendKwargs(text, origin.options);
  const setting = JSON.stringify([spec, options]);
  let instance = instances.get(setting);
  if (instance === undefined) {
    instance = createBackend(spec, options, origin);
    instances.set(setting, instance);
    instance.catch(() => instances.delete(setting));
  }
  return await instance;
}

export async function createBackend(
  spec: BackendSpec,
  options: Options,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  if (spec.kind === "module") return await importBackend(spec, options, origin);
  const made = await withBackends(options, "", origin);
  const Backend = await BUILT_IN_BACKENDS[spec.name]();
  return new Backend(made as never);
}

/** The options with a backend for each name of one: the value of `backend`, and each item of `backends`. */
async function withBackends(
  value: unknown,
  place: string,
  origin: SettingOrigin,
): Promise<unknown> {
  if (typeof value !== "object" || value === null) return value;
  const made = Object.entries(value).map(async ([name, item]) => {
    const inner = Array.isArray(value) ? `${place}[${name}]` : place ? `${place}.${name}` : name;
    const isBackend = name === "backend" || /(^|\.)backends\[\d+\]$/.test(inner);
    return [name, await (isBackend ? createNested : withBackends)(item, inner, origin)];
  });
  const all = await Promise.all(made);
  return Array.isArray(value) ? all.map(([, item]) => item) : Object.fromEntries(all);
}

/** A backend by its name or `<module>:<ExportName>`, or by `{ name, options }`. */
async function createNested(
  value: unknown,
  place: string,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const { name, options = {}, ...rest } = isObject(value) ? value : { name: value };
  const source = origin.options;
  if (typeof name !== "string" || !isObject(options) || Object.keys(rest).length > 0) {
    throw new CredentialsBackendError(
      "backend_kwargs_invalid",
      `Cannot read ${source}: "${place}" names no backend. Give its name, such as "file", or ` +
        `{"name": "file", "options": {"path": "\${${HOME_VARIABLE}}/tokens.json"}}.`,
    );
  }
  const inner = { name: `${source}.${place}`, options: `${source}.${place}.options` };
  return await createBackend(parseBackendSpec(name, inner.name), options, inner);
}

/** A backend of a third party, from its module. */
async function importBackend(
  { specifier, exportName }: Extract<BackendSpec, { kind: "module" }>,
  options: Options,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const source = `${showSpec(specifier)} (${origin.name})`;
  const subject = `${exportName} from ${source}`;
  const module = await importModule(specifier, source, options);
  if (!Object.hasOwn(module, exportName)) {
    const names = printable(Object.keys(module).join(", ")) || "nothing";
    const reason = `the module exports ${names}. Name one of its exports after the last colon.`;
    throw loadError("backend_export_missing", subject, reason);
  }
  const Backend = module[exportName];
  if (typeof Backend !== "function") {
    throw loadError("backend_not_constructible", subject, "it is not a class. Export a class.");
  }
  let backend: unknown;
  try {
    backend = new (Backend as new (options: Options) => unknown)(options);
  } catch (error) {
    if (error instanceof CredentialsBackendError) {
      throw new CredentialsBackendError(error.code, foreignText(error.message, options));
    }
    const reason = `its constructor failed. See the cause, and check ${origin.options}.`;
    throw loadError("backend_not_constructible", subject, reason, causeOf(error, options));
  }
  assertCredentialsBackend(backend, subject);
  return backend;
}

async function importModule(
  specifier: string,
  source: string,
  options: Options,
): Promise<Record<string, unknown>> {
  const url = moduleUrl(specifier);
  try {
    return await import(url);
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    // A module that is denied something while it runs throws NotCapable: that is its own error.
    const denied = error instanceof TypeError &&
      /run again with the --allow-(\w+) flag/.exec(message);
    if (denied) {
      const reason =
        `Deno does not permit the import. Run with --allow-${denied[1]}, narrowed to ` +
        `this module.`;
      throw loadError("permission_required", source, reason);
    }
    const reason = "the module did not load. See the cause, and check its path or its address.";
    throw loadError("backend_import_failed", source, reason, causeOf(error, options));
  }
}

/**
 * The address of a module that a setting names by an address or a path. A path is taken from the
 * working directory: `import()` itself would take it from this file.
 */
export function moduleUrl(specifier: string, onWindows: boolean = isWindows): string {
  if (!isPathSpecifier(specifier)) return specifier;
  // Elsewhere nothing tells the working directory.
  if (specifier.startsWith(".")) needDeno(`find ${showSpec(specifier)}`, "Name its whole path.");
  return urlOfPath(specifier, onWindows).href;
}

/**
 * Deno reads each module behind an `import()` ahead of every start. The eleven of `@std/path` for this
 * cost each start 3 %, and `node:url` takes longer to load than a start.
 */
function urlOfPath(path: string, onWindows: boolean): URL {
  const text = onWindows
    ? path.replaceAll("\\", "/").replace(/(?<!^)\/+/g, "/") // two at the beginning name a host
    : path.replace(/\/+/g, "/");
  const encoded = text.replace(/[%?#\\\s]/g, encodeURIComponent);
  if (onWindows && /^[A-Za-z]:/.test(text)) return new URL(`file:///${encoded}`);
  if (!onWindows && text.startsWith("/")) return new URL(`file://${encoded}`);
  return new URL(encoded, urlOfPath(`${Deno.cwd()}/`, isWindows));
}

/** The words of a module's error. Another part of it may be anything. */
function causeOf(error: unknown, options: Options): Error {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : "no error object";
  return new Error(foreignText(text, options));
}

function loadError(
  code: CredentialsBackendErrorCode,
  subject: string,
  reason: string,
  cause?: Error,
): CredentialsBackendError {
  const message = `Cannot load the credentials backend ${subject}: ${reason}`;
  return new CredentialsBackendError(code, message, cause && { cause });
}
