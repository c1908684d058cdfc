import type { JunitCase } from "./reports.ts";

/** Tests that a run with all servers may leave out, on Linux as root. Any other one fails the run. */
const MAY_BE_IGNORED: readonly { file: RegExp; test: RegExp; reason: string }[] = [
  {
    file: /compile/,
    test: /./,
    reason: "it compiles a program: `denort` is in no registry that CI reaches",
  },
];

/** Whether a test may be left out. */
export function mayBeIgnored({ file, name }: Pick<JunitCase, "file" | "name">): boolean {
  return name.includes("on Windows") ||
    MAY_BE_IGNORED.some((row) => row.file.test(file) && row.test.test(name));
}
