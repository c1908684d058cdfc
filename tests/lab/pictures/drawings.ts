/** The drawings of the pages: boxes and arrows between them, as SVG that fits light and dark. */

interface Box {
  x: number;
  y: number;
  width?: number;
  /** The first is the title. */
  lines: readonly string[];
}

/** From one box to another, by their places in the list; what goes along it. */
type Arrow = [from: number, to: number, words?: string];

const WIDTH = 190;
const LINE = 18;
const INK = "#57606a";

const heightOf = ({ lines }: Box) => lines.length * LINE + 16;

/** Where an arrow leaves or reaches a box: the middle of the side that faces the other one. */
function edge(box: Box, other: Box): [x: number, y: number] {
  const width = box.width ?? WIDTH;
  const [cx, cy] = [box.x + width / 2, box.y + heightOf(box) / 2];
  const [dx, dy] = [other.x + (other.width ?? WIDTH) / 2 - cx, other.y + heightOf(other) / 2 - cy];
  return Math.abs(dx) * heightOf(box) > Math.abs(dy) * width
    ? [cx + Math.sign(dx) * width / 2, cy]
    : [cx, cy + Math.sign(dy) * heightOf(box) / 2];
}

function draw(width: number, height: number, boxes: readonly Box[], arrows: readonly Arrow[]) {
  const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const shapes = boxes.map((box) => {
    const texts = box.lines.map((line, index) =>
      `<text x="${box.x + 10}" y="${box.y + LINE * (index + 1) + 3}"` +
      `${index === 0 ? ' font-weight="bold"' : ""}>${escape(line)}</text>`
    );
    return `<rect x="${box.x}" y="${box.y}" width="${box.width ?? WIDTH}" height="${
      heightOf(box)
    }"` +
      ` rx="6" fill="#8c959f" fill-opacity="0.12" stroke="${INK}"/>${texts.join("")}`;
  });
  const lines = arrows.map(([from, to, words = ""]) => {
    const [a, b] = [boxes[from]!, boxes[to]!];
    const [[x1, y1], [x2, y2]] = [edge(a, b), edge(b, a)];
    return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${INK}" marker-end="url(#a)"/>` +
      `<text x="${(x1 + x2) / 2 + 6}" y="${(y1 + y2) / 2 - 6}" font-size="12">${
        escape(words)
      }</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"` +
    ` font-family="sans-serif" font-size="13" fill="${INK}">` +
    `<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"` +
    ` orient="auto"><path d="M0 0L8 4L0 8z" fill="${INK}"/></marker></defs>` +
    `${shapes.join("")}${lines.join("")}</svg>\n`;
}

/** The drawings by their names. */
export const DRAWINGS: Record<string, string> = {
  "stores.svg": draw(600, 340, [
    { x: 10, y: 21, lines: ["May tokens be on disk?"] },
    { x: 10, y: 101, lines: ["One person, one host?"] },
    { x: 10, y: 181, lines: ["Is a store prescribed?"] },
    { x: 10, y: 261, lines: ["May it be clear text?"] },
    { x: 320, y: 12, width: 260, lines: ["memory", "each process asks anew"] },
    {
      x: 320,
      y: 92,
      width: 260,
      lines: ["Vault, or Deno KV on a server", "one sign-in, several hosts"],
    },
    {
      x: 320,
      y: 172,
      width: 260,
      lines: ["a program, or a class of yours", "pass, three methods"],
    },
    { x: 320, y: 252, width: 260, lines: ["the file", "the default; else the keychain"] },
  ], [
    ...[[0, 1, "yes"], [1, 2, "yes"], [2, 3, "no"]] as Arrow[],
    ...[[0, 4, "no"], [1, 5, "no"], [2, 6, "yes"], [3, 7, "yes"]] as Arrow[],
  ]),
  "tokens.svg": draw(860, 260, [
    { x: 10, y: 20, width: 200, lines: ["provider", "who signed in, tokens, keys"] },
    {
      x: 330,
      y: 20,
      width: 210,
      lines: ["this process", "ID token checked, one refresh"],
    },
    { x: 640, y: 20, width: 210, lines: ["API", "one origin, no redirects"] },
    { x: 330, y: 180, width: 210, lines: ["store", "mode 0600, keychain, Vault …"] },
    { x: 10, y: 180, width: 200, lines: ["person", "approves in a browser"] },
  ], [
    [4, 0, "password, second factor"],
    [0, 1, "tokens"],
    [1, 2, "bearer"],
    [1, 3, "entry"],
    [3, 1],
  ]),
};
