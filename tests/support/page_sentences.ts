/**
 * The sentences of a section of a page: of its paragraphs and lists, without tables, code and the bold
 * title of an item that is no sentence of its own.
 */
export function sentencesOf(page: string, title: string): string[] {
  const [, rest = ""] = page.split(`\n## ${title}\n`);
  const [section = ""] = rest.split(/\n## /);
  return section.replace(/^```[^]*?^```/gm, "").split(/\n\n|\n(?=- )/)
    .filter((block) => !block.trimStart().startsWith("|") && !block.trimStart().startsWith("<!--"))
    .flatMap((block) => {
      const text = block.replace(/^\s*- /, "").replace(/^\*\*[^*]*[.:]\*\*/, "").replaceAll(
        "**",
        "",
      ).replace(/\s+/g, " ").trim();
      return text === "" ? [] : text.split(/(?<=[.])\s+(?=[A-Z`[])/);
    });
}

/** The rows of the first table of a section, without its head. */
export function rowsOf(page: string, title: string): string[][] {
  const [, rest = ""] = page.split(`\n## ${title}\n`);
  const [section = ""] = rest.split(/\n## /);
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll("\\|", "|"))
  );
}
