import { HOME_VARIABLE } from "../common/platform.ts";
import { isObject } from "../common/printable.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import {
  type BackendSpec,
  BUILT_IN_BACKENDS,
  parseBackendKwargs,
  parseBackendSpec,
  type SettingOrigin,
} from "./backend_setting.ts";

/** Loaded where a setting names a module. */
const loadImportBackend = () => import("./import_backend.ts");

/** Options from JSON: a name stands where the class takes a backend. Each class checks its own. */
type Options = Record<string, unknown>;

/** One instance per setting, so that a second `init()` in a process finds the first one's entries. */
const instances = new Map<string, Promise<OidcCredentialsBackend>>();

/** The backend that two texts name. Equal settings give the same instance within a process. */
export async function sharedBackend(
  name: string,
  readOptions: () => string | undefined,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const spec = parseBackendSpec(name, origin.name);
  const text = readOptions();
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
  if (spec.kind === "module") return await createForeign(spec, options, origin);
  const { load, nested = [] } = BUILT_IN_BACKENDS[spec.name];
  let made: unknown = options;
  for (const path of nested) {
    const steps = path.split(/\.|(?=\[\])/);
    made = await replaceAt(steps, made, "", (value, place) => createNested(value, place, origin));
  }
  const Backend = await load();
  try {
    return new Backend(made as never);
  } catch (error) {
    throw withPlace(error, origin.options);
  }
}

/** The same error with the place of the wrong option, which the class does not know. */
function withPlace(error: unknown, place: string): unknown {
  const isOfOption = error instanceof CredentialsBackendError && error.code === "invalid_options" &&
    !error.message.includes("pass the option");
  if (!isOfOption) return error;
  return new CredentialsBackendError(error.code, `${error.message} The options are in ${place}.`);
}

async function createForeign(
  { specifier, exportName }: Extract<BackendSpec, { kind: "module" }>,
  options: Options,
  origin: SettingOrigin,
): Promise<OidcCredentialsBackend> {
  const { importBackend } = await loadImportBackend();
  return await importBackend(specifier, exportName, options, origin);
}

/**
 * Replaces the values at a path of the options. A value of another shape than the path's stays: the
 * class refuses it in its own words. `place` is the path so far.
 */
async function replaceAt(
  [step, ...rest]: readonly string[],
  value: unknown,
  place: string,
  create: (value: unknown, place: string) => Promise<unknown>,
): Promise<unknown> {
  if (step === undefined) return await create(value, place);
  if (step === "[]") {
    if (!Array.isArray(value)) return value;
    const items = value.map((one, i) => replaceAt(rest, one, `${place}[${i}]`, create));
    return await Promise.all(items);
  }
  if (!isObject(value) || !Object.hasOwn(value, step)) return value;
  const inner = place === "" ? step : `${place}.${step}`;
  return { ...value, [step]: await replaceAt(rest, value[step], inner, create) };
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
