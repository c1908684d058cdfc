import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { isWindows } from "./platform.ts";

type Kind = readonly [words: string, fits: (value: unknown) => boolean];

const KINDS = {
  any: ["", () => true],
  text: ["a string", isText],
  string: ["a string", (value) => typeof value === "string"],
  path: [
    'a plain path without "~/" and "file:" (in the KWARGS variable: ' +
    `"\${${isWindows ? "USERPROFILE" : "HOME"}}/…")`,
    (value) => isText(value) && !/^(~[/\\]|file:)/.test(value),
  ],
  boolean: ["a boolean", (value) => typeof value === "boolean"],
  number: ["a number", (value) => typeof value === "number"],
  function: ["a function", (value) => typeof value === "function"],
  object: ["an object", (value) => typeof value === "object" && value !== null],
  array: ["an array", Array.isArray],
  signal: ["an AbortSignal", (value) => value instanceof AbortSignal],
  milliseconds: [
    "a number of milliseconds, 0 or more",
    (value) => typeof value === "number" && value >= 0,
  ],
  timeout: ["a number of milliseconds above 0", (value) => typeof value === "number" && value > 0],
} satisfies Record<string, Kind>;

/** The kind of each option by its name; an array holds the values that an option may have. */
export type OptionTypes = Readonly<Record<string, keyof typeof KINDS | readonly string[]>>;

/**
 * Refuses unknown options, and values that do not fit. No value is shown: it may be a secret in the
 * wrong place. An option that is `undefined` counts as absent.
 */
export function checkOptions(
  action: string,
  options: unknown,
  types: OptionTypes,
  fail: (message: string) => Error = invalidOptions,
): void {
  const names = Object.keys(types);
  const offer = names.length === 0 ? "It takes none." : `It takes: ${names.join(", ")}.`;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw fail(`Cannot ${action}: its options are not an object. ${offer}`);
  }
  for (const [name, value] of Object.entries(options)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined;
    if (type === undefined) {
      const near = names.find((one) => one.toLowerCase() === name.toLowerCase());
      const hint = near ? `Did you mean "${near}"?` : offer;
      throw fail(`Cannot ${action}: unknown option "${name}". ${hint}`);
    }
    const fault = value === undefined ? undefined : faultOf(value, type);
    if (fault === undefined) continue;
    throw fail(`Cannot ${action}: option "${name}" is ${fault}. Correct it, or leave it out.`);
  }
}

/** What is wrong with a value; `undefined` where the value fits. */
function faultOf(value: unknown, type: OptionTypes[string]): string | undefined {
  if (typeof type !== "string") {
    return type.some((one) => one === value) ? undefined : `not one of ${type.join(", ")}`;
  }
  const [words, fits]: Kind = KINDS[type];
  if (fits(value)) return undefined;
  return typeof value === "string" && value.trim() === "" ? "empty" : `not ${words}`;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

function invalidOptions(message: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", message);
}

/** Refuses an object that lacks one of the three methods, and names the first that is missing. */
export function assertCredentialsBackend(
  value: unknown,
  origin: string,
): asserts value is OidcCredentialsBackend {
  const missing = ["get", "put", "delete"].find((method) =>
    typeof (value as Record<string, unknown> | null | undefined)?.[method] !== "function"
  );
  if (missing === undefined) return;
  throw new CredentialsBackendError(
    "invalid_backend",
    `Cannot use ${origin} as a credentials backend: it has no method ${missing}(). ` +
      `Implement get, put and delete as OidcCredentialsBackend describes.`,
  );
}
