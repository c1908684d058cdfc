const END = "<!-- end of the part -->";

/** A part of a page that `deno task readme` writes, as the page has it between its marks. */
export function partOf(page: string, name: string): string {
  const [, rest = ""] = page.split(`<!-- ${name}: made by \`deno task readme\` -->`);
  const end = rest.indexOf(END);
  if (end < 0) throw new Error(`the page has no part ${name}`);
  return rest.slice(0, end).trim();
}

/** A page with one part written anew. */
export function replacePart(page: string, name: string, text: string): string {
  return page.replace(partOf(page, name), () => text);
}

/** The same text however a formatter has set the columns, and broken the lines of a list. */
export function unpadded(text: string): string {
  return text.replace(/ +\|/g, " |").replace(/-+/g, "-").replace(/\n {2}(?=\S)/g, " ");
}

/** A table in Markdown. */
export function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
