/** A QR code, row by row: `true` is dark. It has no quiet zone, which the drawing adds. */
export type QrCode = readonly (readonly boolean[])[];

/** The code of a text. The package for it is loaded only then. */
export async function qrCode(text: string): Promise<QrCode> {
  const { encode } = await import("uqr");
  return encode(text, { ecc: "L", border: 0 }).data;
}

/**
 * An SVG of dark squares on white in every theme, as scanners need it. The quiet zone has the four
 * modules of ISO/IEC 18004.
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
 * The lines of the code in half blocks, two rows in each. The light modules are drawn, which is right
 * on a dark terminal also without colours. Today's scanners read the reverse, too.
 */
export function qrLines(code: QrCode): string[] {
  const quiet = 2; // enough for scanners on a screen, since the terminal's own colour surrounds it
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

/** Runs of dark modules: start and length. */
function* runs(row: readonly boolean[]): Generator<[start: number, length: number]> {
  for (let x = 0; x < row.length; x++) {
    if (!row[x]) continue;
    const start = x;
    while (row[x + 1]) x++;
    yield [start, x - start + 1];
  }
}
