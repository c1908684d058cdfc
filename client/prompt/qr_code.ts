import { encode } from "uqr";

/** A QR code, row by row: `true` is dark. The quiet zone is left to who draws it. */
export type QrCode = readonly (readonly boolean[])[];

/** The QR code of a text. */
export function qrCode(text: string): QrCode {
  return encode(text, { ecc: "L", border: 0 }).data;
}

/**
 * An SVG of dark squares on white, whatever the theme: scanners want it so. The quiet zone is the
 * four modules of ISO/IEC 18004.
 */
export function qrSvg(code: QrCode, label: string): string {
  const quiet = 4;
  const size = code.length + 2 * quiet;
  const path = code.flatMap((row, y) =>
    [...runs(row)].map(([x, length]) => `M${x + quiet} ${y + quiet}h${length}v1h-${length}z`)
  ).join("");
  return `<svg role="img" aria-label="${label}" viewBox="0 0 ${size} ${size}" ` +
    `shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${size}v${size}H0z"/>` +
    `<path fill="#000" d="${path}"/></svg>`;
}

/**
 * The lines of the code in half blocks, two rows in each. Light is what is drawn, so that it is
 * right on a dark terminal also without colours; scanners of today read the reverse, too.
 */
export function qrLines(code: QrCode): string[] {
  const quiet = 2; // as small as scanners take it on a screen: the terminal's own colour is around
  const size = code.length + 2 * quiet;
  const isLight = (x: number, y: number) => !code[y - quiet]?.[x - quiet];
  return Array.from(
    { length: Math.ceil(size / 2) },
    (_, line) =>
      Array.from({ length: size }, (_, x) => {
        const [upper, lower] = [isLight(x, 2 * line), isLight(x, 2 * line + 1)];
        return upper ? lower ? "█" : "▀" : lower ? "▄" : " ";
      }).join(""),
  );
}

/** Where dark modules follow each other: start and length. */
function* runs(row: readonly boolean[]): Generator<[start: number, length: number]> {
  for (let x = 0; x < row.length; x++) {
    if (!row[x]) continue;
    const start = x;
    while (row[x + 1]) x++;
    yield [start, x - start + 1];
  }
}
