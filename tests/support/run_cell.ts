/** Runs a cell of a notebook as it is written. The names in it are those of earlier cells. */
export function runCell<T>(code: string, names: Record<string, unknown>): Promise<T> {
  const Cell = Object.getPrototypeOf(async () => {}).constructor;
  return new Cell(...Object.keys(names), code.replace(/^(const \w+ = )?/, "return "))(
    ...Object.values(names),
  );
}

/** The cells that the text of a display shows. */
export function cellsIn(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter((line) =>
    /^(const \w+ = )?await /.test(line)
  );
}
