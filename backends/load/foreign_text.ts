import { printable } from "../common/printable.ts";
import { redact } from "../common/redact.ts";

/** Longest text of a third party in an error, in characters. */
const LONGEST = 1_000;

/**
 * A third party's text for an error: without a piece of the secrets that it was given, without the
 * query of an address, which may hold a token, and without control characters.
 *
 * @param given Values that the third party was given. Every text in them counts as a secret that is
 * not too short for one.
 */
export function foreignText(text: string, given: unknown): string {
  const short = text.slice(0, 4 * LONGEST);
  return printable(redact(hideQueries(short), textsIn(given)), LONGEST);
}

/** Hides the query, the fragment and the user of each address in a text. */
export function hideQueries(text: string): string {
  return text.replace(/\/\/[^\s/@"'<>]{1,1000}@/g, "//").replace(/(\?|%3F)[^\s"'<>]+/gi, "?…")
    .replace(/#[^\s"'<>]*[=&][^\s"'<>]*/g, "#…");
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return value.length < 4 ? [] : [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
