import { parseObject } from "../../backends/common/json.ts";
import { CONSEQUENCES, type RefusalKind } from "../../client/errors.ts";
import { readRefusal } from "../../client/provider/refusal.ts";
import { type RefusalRow, ROWS } from "../client/provider/refusal_rows.ts";

/** The meaning of each kind, in the order of the table. */
const MEANINGS: Readonly<Record<RefusalKind, string>> = {
  wait: "not yet",
  fault: "the provider is ill or busy",
  flow: "this client may not use this grant",
  client: "the client is unknown or off, or its proof fails",
  scope: "the scope is not to be had",
  denied: "a person or a policy said no",
  over: "this grant will never work again",
  refused: "any other no",
};

/** The kinds of refusals with what follows for a stored sign-in, and their answers, for client/providers.md. */
export function refusalList(): string {
  return Object.entries(MEANINGS).map(([name, meaning]) => {
    const kind = name as RefusalKind;
    const { keepsGrant, asksPerson } = CONSEQUENCES[kind];
    const follows = [keepsGrant ? [] : "removes", asksPerson ? "asks" : []].flat().join(", ");
    const mark = follows === "" ? "" : ` (${follows})`;
    return `- \`${kind}\`${mark}: ${meaning}. ${answersOf(kind)}`;
  }).join("\n");
}

/** The answers of a kind, each once, with a mark where every one of that name is from memory. */
function answersOf(kind: RefusalKind): string {
  const { Any: _, ...providers } = ROWS;
  const rows = Object.values(providers).flat().filter((row) => row[3] === kind);
  const names = Map.groupBy(rows, nameOf);
  return [...names].filter(([name]) => name !== "").map(([name, answers]) => {
    const isFromMemory = answers.every(([, , , , source]) => source === "mem");
    return `\`${name}\`${isFromMemory ? "\\*" : ""}`;
  }).join(", ");
}

/** Longer words are cut. */
const MOST_WORDS = 32;

/** An answer by its code; by Entra's number or its sub-code where the code alone has another kind. */
function nameOf([at, status, body, kind]: RefusalRow): string {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const { code, said, sub } = readRefusal({ at, status, text, json: parseObject(text) });
  const bare = readRefusal({ at, status: 400, text: "{}", json: { error: code } });
  if (code === "" || bare.kind === kind) return code;
  const [number] = /AADSTS\d+|MSIS\d+/.exec(said) ?? [];
  const words = said.split(/: |\. /)[0]!;
  const shown = words.length > MOST_WORDS ? `${words.slice(0, MOST_WORDS).trimEnd()}…` : words;
  return number ?? (sub || shown);
}
