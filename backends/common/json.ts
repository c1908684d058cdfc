/** An object of JSON. */
export type Json = Record<string, unknown>;

/**
 * The JSON object that a text holds; `undefined` for any other text. There is no error: V8's would
 * quote the text, which may hold a token.
 */
export function parseObject(text: string): Json | undefined {
  const value = jsonOr(text);
  return isObject(value) ? value : undefined;
}

/** The value of a text in JSON; any other text itself. */
export function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether a value of JSON is an object: neither an array nor `null`. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value of JSON where it is an object; else an empty one. */
export function objectIn(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** Whether two values of JSON are the same, whatever the order of their members. */
export function sameJson(one: unknown, other: unknown): boolean {
  return sorted(one) === sorted(other);
}

function sorted(value: unknown): string | undefined {
  return JSON.stringify(value, (_, one: unknown) => {
    if (!isObject(one)) return one;
    return Object.fromEntries(Object.keys(one).sort().map((name) => [name, one[name]]));
  });
}

type Given<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** The fields that have a value. */
export function given<T extends object>(fields: T): Given<T> {
  const found = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(found) as Given<T>;
}
