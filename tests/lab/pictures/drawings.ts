/** The drawings of the pages: boxes and arrows between them, as SVG for light and for dark. */

interface Box {
  x: number;
  y: number;
  /** The first is the title; a box of one line is a question. */
  lines: readonly string[];
}

/** From one box to another, by their places in the list; what goes along it, and whether both ways. */
type Arrow = [from: number, to: number, words: string, both?: "both"];

const WIDTH = 230;
const LINE = 18;
/** Opaque, since a page may be dark where the system is light. */
const STYLE = "svg{color:#1f2328;background:#fff}" +
  "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}";

const heightOf = ({ lines }: Box) => lines.length * LINE + 16;

/** Where an arrow leaves or reaches a box: the middle of the side that faces the other one. */
function edge(box: Box, other: Box): [x: number, y: number] {
  const [cx, cy] = [box.x + WIDTH / 2, box.y + heightOf(box) / 2];
  const [dx, dy] = [other.x - box.x, other.y + heightOf(other) / 2 - cy];
  return Math.abs(dx) > Math.abs(dy)
    ? [cx + Math.sign(dx) * WIDTH / 2, cy]
    : [cx, cy + Math.sign(dy) * heightOf(box) / 2];
}

function draw(width: number, height: number, boxes: readonly Box[], arrows: readonly Arrow[]) {
  const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const shapes = boxes.map((box) => {
    const texts = box.lines.map((line, index) =>
      `<text x="${box.x + 12}" y="${box.y + LINE * (index + 1) + 3}"` +
      `${index === 0 ? ' font-weight="bold"' : ""}>${escape(line)}</text>`
    );
    const look = box.lines.length === 1 ? `rx="17" fill="none"` : `rx="6" fill-opacity="0.08"`;
    return `<rect x="${box.x}" y="${box.y}" width="${WIDTH}" height="${heightOf(box)}" ${look}` +
      ` stroke="currentColor"/>${texts.join("")}`;
  });
  const lines = arrows.map(([from, to, words, both]) => {
    const [a, b] = [boxes[from]!, boxes[to]!];
    const [[x1, y1], [x2, y2]] = [edge(a, b), edge(b, a)];
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    const place = y1 === y2
      ? `x="${x}" y="${y - 8}" text-anchor="middle"`
      : `x="${x + 10}" y="${y + 4}"`;
    const start = both === undefined ? "" : ` marker-start="url(#a)"`;
    return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="currentColor"${start}` +
      ` marker-end="url(#a)"/><text ${place} font-size="12">${escape(words)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"` +
    ` font-family="sans-serif" font-size="13" fill="currentColor"><style>${STYLE}</style>` +
    `<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"` +
    ` orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"/></marker></defs>` +
    // Without a line break: JSR knows an SVG by its end.
    `${shapes.join("")}${lines.join("")}</svg>`;
}

/** The drawings by their names. */
export const DRAWINGS: Record<string, string> = {
  "stores.svg": draw(600, 421, [
    { x: 20, y: 29, lines: ["May tokens be on disk?"] },
    { x: 20, y: 109, lines: ["One person, on one host?"] },
    { x: 20, y: 189, lines: ["Is another store prescribed?"] },
    { x: 20, y: 269, lines: ["May they be in clear text?"] },
    { x: 350, y: 20, lines: ["memory", "a sign-in in each process"] },
    { x: 350, y: 100, lines: ["Vault, or a program", "one sign-in for several hosts"] },
    { x: 350, y: 180, lines: ["a program, or a class of yours", "such as pass; three methods"] },
    { x: 350, y: 260, lines: ["the file", "the default, shared with Python"] },
    { x: 20, y: 349, lines: ["the keychain", "or another store, encrypted"] },
  ], [
    ...[[0, 1, "yes"], [1, 2, "yes"], [2, 3, "no"], [3, 8, "no"]] as Arrow[],
    ...[[0, 4, "no"], [1, 5, "no"], [2, 6, "yes"], [3, 7, "yes"]] as Arrow[],
  ]),
  "tokens.svg": draw(960, 232, [
    { x: 20, y: 20, lines: ["provider", "signs the person in, gives tokens"] },
    { x: 365, y: 20, lines: ["this process", "checks the ID token, refreshes"] },
    { x: 710, y: 20, lines: ["API", "one origin, no redirects"] },
    { x: 365, y: 160, lines: ["store", "file 0600, keychain, Vault …"] },
    { x: 20, y: 160, lines: ["person", "approves in a browser"] },
  ], [
    [4, 0, "password, second factor"],
    [0, 1, "tokens, refresh", "both"],
    [1, 2, "bearer token"],
    [1, 3, "entry with the tokens", "both"],
  ]),
};
