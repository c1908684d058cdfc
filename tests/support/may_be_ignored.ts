import type { JunitCase } from "./reports.ts";

interface Row {
  file: RegExp;
  test: RegExp;
  reason: string;
}

/** Tests that a run on Linux may leave out, also as root with all servers. Any other one fails the run. */
const MAY_BE_IGNORED: readonly Row[] = [
  {
    file: /compile/,
    test: /./,
    reason: "it compiles a program: `denort` is in no registry that CI reaches",
  },
  {
    file: /live\/hub\/chart_test/,
    test: /\(ignored: VM_TEST_CHART names no chart\)$/,
    reason: "Zero to JupyterHub's chart is in no registry that CI reaches",
  },
  {
    file: /./,
    test:
      /(does not take unreadable for absent|entries of two people apart|entry by deleteAll|works with the permissions that it declares|to several processes)/,
    reason: "the kit asks for a broken store, another's, or permissions, where a caller has them",
  },
  {
    file: /behaviour\/providers\//,
    test: /\(.+\)$/,
    reason: "the provider cannot do it: its file says why, and the name has the reason",
  },
  {
    file: /./,
    test: /\(ignored: other users may not use .*\)$/,
    reason: "root's own TMPDIR is closed to the user whom a test plays",
  },
  {
    file: /./,
    test: /on Windows|while a scanner holds their files/,
    reason: "it runs by the Windows build, under Wine",
  },
];

/** Why an ordinary user leaves a test out, in its name. */
const NEEDS_ROOT =
  /\((?:ignored: needs (?:Linux and root|root|the right to mount)|there is no root with useradd: ).*\)$/;
/** Why a machine without all servers leaves a test out, in its name. */
const NEEDS_PROGRAM = /\((?:ignored: )?there is no .+\)$/;

/** Where tests run. */
export interface Surroundings {
  isRoot: boolean;
  /** Whether everything is there that a test may need. */
  hasServers: boolean;
}

/** Whether a test may be left out. */
export function mayBeIgnored(
  { file, name }: Pick<JunitCase, "file" | "name">,
  { isRoot, hasServers }: Surroundings,
): boolean {
  return !isRoot && needsRoot({ name }) || !hasServers && NEEDS_PROGRAM.test(name) ||
    MAY_BE_IGNORED.some((row) => row.file.test(file) && row.test.test(name));
}

/** Whether a test was left out for want of root. */
export function needsRoot({ name }: Pick<JunitCase, "name">): boolean {
  return NEEDS_ROOT.test(name);
}
