/** A part of a page that `deno task readme` writes. */
export interface Generated {
  begin: string;
  end: string;
  /** The whole part, with its two marks. */
  text: string;
}

/** Sets a text between the marks of its page. */
export function generated(begin: string, text: string, end: string): Generated {
  return { begin, end, text: `${begin}\n\n${text}\n\n${end}` };
}

/** A page with one part written anew. */
export function replacePart(page: string, { begin, end, text }: Generated): string {
  return page.replace(partOf(page, { begin, end }), () => text);
}

/** The part as a page has it. */
export function partOf(page: string, { begin, end }: Pick<Generated, "begin" | "end">): string {
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`the page has no part ${begin}`);
  return page.slice(from, to + end.length);
}

/** The same text however a formatter has set the columns. */
export function unpadded(text: string): string {
  return text.replace(/ +\|/g, " |").replace(/-+/g, "-");
}

/** A table in Markdown. */
export function table(head: string[], rows: string[][]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
