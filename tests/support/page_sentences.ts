/** A part that a task writes and a test of its own holds to the code. */
const GENERATED = /^<!-- [^>]*`deno task readme`[^>]*-->$[^]*?^<!-- end of [^>]*-->$/gm;

/**
 * The sentences of a page: of its paragraphs and lists, and the rows of its tables, with " | " between
 * the cells. Headings, code, pictures and
 * generated parts are left out.
 *
 * @param without The titles of sections that are left out.
 */
export function sentencesOf(page: string, without: readonly string[] = []): string[] {
  const sections = page.split(/^(?=## )/m).filter((section) =>
    !without.some((title) => section.startsWith(`## ${title}\n`))
  );
  const text = sections.join("").replace(GENERATED, "").replace(/^ *```[^]*?^ *```/gm, "")
    .replace(/<!--[^]*?-->/g, "");
  return text.split(/\n\n|\n(?=- )/).flatMap((block) => {
    const part = block.trim();
    if (part === "" || part.startsWith("#") || part.startsWith("![")) return [];
    if (part.startsWith("|")) return tableRows(part).map((cells) => cells.join(" | "));
    return part.replace(/^- /, "")
      .replace(/^\*\*[^*]*\.\*\*/, "") // the title of an item, which the sentences after it explain
      .replaceAll("**", "").replace(/\s+/g, " ").trim()
      .split(/(?<=[.:])\s+(?=[A-Z`[])/).filter((sentence) => sentence !== "");
  });
}

/** The titles of the sections of a page. */
export function titlesOf(page: string): string[] {
  return [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title!);
}

/** The rows of the first table of a section, without its head. */
export function rowsOf(page: string, title: string): string[][] {
  const [, rest = ""] = page.split(`\n## ${title}\n`);
  const [section = ""] = rest.split(/\n## /);
  return tableRows(section);
}

function tableRows(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll("\\|", "|"))
  );
}
