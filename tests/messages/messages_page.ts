import { toldRows } from "../behaviour/providers/told_table.ts";
import { type Generated, generated, table } from "../support/generated_part.ts";
import { FAULTS } from "./faults.ts";
import { type Afterwards, hearRows, type WrittenRow } from "./message_row.ts";
import { MISTAKES } from "./mistakes.ts";

/** The page of the messages. */
export const MESSAGES_PAGE = new URL("../../.github/MESSAGES.md", import.meta.url);

/** A table of the page, and how many of its rows can be made at once. */
interface Section {
  readonly name: string;
  readonly head: readonly [what: string, where: string];
  make(then?: Afterwards): Promise<WrittenRow[]>;
}

/** The tables of the page. */
export const SECTIONS: readonly Section[] = [
  // One by one: each changes what the test process sees of its variables.
  { name: "faults", head: ["fault", "where"], make: () => hearRows(FAULTS, 1) },
  {
    name: "providers",
    head: ["fault", "provider"],
    make: () => Promise.resolve(toldRows()), // held to by the tests against those providers
  },
  { name: "mistakes", head: ["mistake", "where"], make: (then) => hearRows(MISTAKES, 3, then) },
];

/**
 * A table as the page has it.
 *
 * @param then Is called with each message, while the place of the mistake still stands.
 */
export async function sectionOf(
  { name, head, make }: Section,
  then?: Afterwards,
): Promise<Generated> {
  const rows = (await make(then)).map(({ what, where, code, message }) => [
    escaped(what),
    where,
    `\`${code}\``,
    message.split("\n").map(inlineCode).join("<br>"),
  ]);
  return generated(
    `<!-- ${name}: made by \`deno task messages\`, checked by the tests -->`,
    table([...head, "code", "message"], rows),
    `<!-- end of ${name} -->`,
  );
}

/** A line as code, also where it has backticks in it. */
function inlineCode(line: string): string {
  const text = escaped(line.trim());
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}
