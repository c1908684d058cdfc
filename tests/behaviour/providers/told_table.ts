import type { Told } from "./faults.ts";
import { KINDS } from "./run_table.ts";
import { EVERYWHERE } from "./told/everywhere.ts";

/** What the page has in place of a test's addresses. */
const SHOWN = {
  "{issuer}": "https://login.example.com",
  "{endpoint}": "https://login.example.com/token",
  "{host}": "login.example.com",
};

/** A fault at a provider, and the first line of the message. */
export interface ToldRow extends Pick<Told, "code" | "message"> {
  readonly what: string;
  readonly where: string;
}

/** What the matrix holds to, as rows of a table: those of one fault follow each other. */
export function toldRows(): ToldRow[] {
  const kinds = [{ name: "all of them", told: EVERYWHERE }, ...KINDS];
  const rows = kinds.flatMap(({ name, told }) =>
    Object.entries(told).map(([what, { code, message }]) => ({
      what,
      where: name,
      code,
      message: shown(message.split("\n")[0]!.replace(/ Sign in with$/, " Sign in with …")),
    }))
  );
  const faults = [...new Set(rows.map(({ what }) => what))];
  return faults.flatMap((fault) => rows.filter(({ what }) => what === fault));
}

function shown(message: string): string {
  return Object.entries(SHOWN).reduce(
    (text, [name, value]) => text.replaceAll(name, value),
    message,
  );
}
