/** A test that fails under Wine and would not on Windows. */
export interface WineFault {
  /** The test's file, from the root of the repository. */
  readonly file: string;
  /** Its whole name. */
  readonly test: string;
  /** What Wine does differently. */
  readonly reason: string;
}

const RENAME = "Wine refuses to rename over a file that is open; Windows 10 and later do not";

const JUNCTION = "Wine makes no junctions (os error 50), by which the registry shares npm's cache";

/** All of them. A test that passes although it is here is reported, so that the list stays true. */
export const WINE_FAULTS: readonly WineFault[] = [
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
  {
    file: "tests/support/jsr_registry_test.ts",
    test: "the registry serves a package as deno publish packs it",
    reason: JUNCTION,
  },
  {
    file: "tests/support/jsr_registry_test.ts",
    test: "a served module can import an added package by a computed name",
    reason: JUNCTION,
  },
  {
    file: "tests/support/jsr_registry_test.ts",
    test: "the registry tells why it cannot publish",
    reason: JUNCTION,
  },
  {
    file: "tests/backends/load/import_backend_jsr_test.ts",
    test: "the package as JSR serves it loads backends that the environment names",
    reason: JUNCTION,
  },
];
