import type { KnownFault } from "../run_elsewhere.ts";

/**
 * Tests that fail under Wine and would not on Windows, all of them. One that passes although it is here is reported, so that the list stays true.
 */
export const WINE_FAULTS: readonly KnownFault[] = [
  {
    file: "tests/backends/file/store_test.ts",
    test: "a temp file that somebody replaced is not used, nor one that a crash left",
    reason: "Wine refuses to rename over a file that is open; Windows 10 and later do not",
  },
];
