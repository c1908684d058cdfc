import { printable } from "../printable.ts";

/** Text from outside as HTML may carry it, in an element or an attribute in quotes. */
export function escapeHtml(text: string, limit?: number): string {
  return printable(text, limit).replace(
    /[&<>"'`]/g,
    (character) => `&#${character.codePointAt(0)};`,
  );
}
