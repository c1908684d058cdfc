import type { KnownFault } from "../tally.ts";

const RENAME = "Wine refuses to rename over a file that is open; Windows 10 and later do not";

/**
 * Tests that fail under Wine and would not on Windows, all of them. One that passes although it is here is reported, so that the list stays true.
 */
export const WINE_FAULTS: readonly KnownFault[] = [
  {
    file: "tests/backends/file/credentials_file_test.ts",
    test: "CredentialsFile keeps no old content of a file that is replaced while it is read",
    reason: RENAME,
  },
  {
    file: "tests/backends/file_reserve_test.ts",
    test: "a reserved file that somebody replaced is not used, nor what a crash left of one",
    reason: RENAME,
  },
];
