import { CredentialsBackendError, type ErrorParts } from "../credentials_backend_error.ts";
import { printable } from "./printable.ts";

type Kind = readonly [words: string, fits: (value: unknown) => boolean];

const KINDS = {
  any: ["", () => true],
  text: ["a string", isText],
  string: ["a string", (value) => typeof value === "string"],
  path: [
    'a plain path without "~/", "file:" and "$NAME" (in the KWARGS variable: "${HOME}/…", on Windows ' +
    '"${USERPROFILE}/…")',
    (value) => isText(value) && !/^(~[/\\]|file:|%)|\$[A-Z{]/.test(value),
  ],
  boolean: ["true or false", (value) => typeof value === "boolean"],
  function: ["a function", (value) => typeof value === "function"],
  "text or function": [
    "a string or a function",
    (value) => typeof value === "function" || isText(value),
  ],
  object: ["an object", (value) => typeof value === "object" && value !== null],
  array: ["an array", Array.isArray],
  texts: ["a plain object of strings", isTexts],
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
  fail = (parts: ErrorParts): Error => new CredentialsBackendError("invalid_options", parts),
): void {
  const names = Object.keys(types);
  const offer = names.length === 0 ? "It takes none." : `It takes: ${names.join(", ")}.`;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw fail({ action, reason: "its options are not an object", remedy: offer });
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(types, name)) {
      const shown = printable(name);
      const remedy = didYouMean(name, names) || offer;
      throw fail({ action, reason: `unknown option "${shown}"`, remedy });
    }
    const type = types[name]!;
    const fault = faultOf(value, type);
    if (value === undefined || fault === undefined) continue;
    const reason = `option "${name}" is ${fault}`;
    const isWord = typeof value === "string" && typeof type !== "string";
    const near = isWord && didYouMean(value, type);
    throw fail({ action, reason, remedy: near || "Correct it, or leave it out." });
  }
}

/** The error for options that have their types, and are refused all the same. */
export function invalidOptions(
  action: string,
  reason: string,
  remedy: string,
): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", { action, reason, remedy });
}

/** What is wrong with a value; `undefined` where the value fits. */
function faultOf(value: unknown, type: OptionTypes[string]) {
  if (typeof type !== "string") {
    if (type.some((one) => one === value)) return undefined;
    return `not one of ${type.join(", ")}`;
  }
  const [words, fits]: Kind = KINDS[type];
  if (fits(value)) return undefined;
  if (typeof value === "string" && value.trim() === "") return "empty";
  return `not ${words}`;
}

/** A Map or a URLSearchParams has no members of its own: its values would be lost. */
function isTexts(value: unknown) {
  return typeof value === "object" && value !== null &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value)) &&
    Object.values(value).every((one) => typeof one === "string");
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "";
}

/** "Did you mean …?" for a name that differs from a known one by few letters, or begins it; else an empty text. */
export function didYouMean(name: string, known: readonly string[]): string {
  const letters = lettersOf(name);
  const offBy = (one: string) => differences(letters, lettersOf(one));
  const [near] = known.toSorted((one, other) => offBy(one) - offBy(other));
  if (near === undefined) return "";
  const isBegun = letters.length > 3 && lettersOf(near).startsWith(letters);
  if (!isBegun && offBy(near) > Math.max(1, letters.length / 4)) return "";
  return `Did you mean "${near}"?`;
}

function lettersOf(name: string) {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

/** The number of letters that only one of two words has, whatever their order. */
function differences(one: string, other: string) {
  let rest = other;
  let lacking = 0;
  for (const letter of one) {
    if (!rest.includes(letter)) lacking++;
    rest = rest.replace(letter, "");
  }
  return Math.max(lacking, rest.length);
}
