import { ValidMindAuthError } from "./errors.ts";

/**
 * Refuses unknown options of a call, and values of a wrong type.
 *
 * @param types The type of each known option, as `typeof` says it; `"any"` for any.
 */
export function checkCallOptions(
  action: string,
  options: unknown,
  types: Record<string, string>,
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(action, "its options are not an object", types);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(types, name)) throw invalid(action, `unknown option "${name}"`, types);
    const type = types[name]!;
    const isRight = value === undefined || type === "any" ||
      (typeof value === type && value !== null);
    if (typeof value === "string" && value.trim() === "") {
      throw invalid(action, `option "${name}" is an empty string`, types);
    }
    const article = type === "object" ? "an" : "a";
    if (!isRight) throw invalid(action, `option "${name}" is not ${article} ${type}`, types);
  }
}

function invalid(action: string, reason: string, types: Record<string, string>) {
  return new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: ${reason}. It takes: ${Object.keys(types).join(", ")}.`,
  );
}
