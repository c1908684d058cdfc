import type { JunitCase } from "./reports.ts";

/** Tests that a run with all servers may leave out, on Linux as root. Any other one fails the run. */
const MAY_BE_IGNORED: readonly { file: RegExp; test: RegExp; reason: string }[] = [
  {
    file: /compile/,
    test: /./,
    reason: "it compiles a program: `denort` is in no registry that CI reaches",
  },
  {
    file: /./,
    test:
      /(does not take unreadable for absent|works with the permissions that it declares|to several processes)/,
    reason: "the kit asks for a store that is broken, or for permissions, where a caller has them",
  },
  {
    file: /behaviour\/providers\//,
    test: /\(.+\)$/,
    reason: "the provider cannot do it: its file says why, and the name has the reason",
  },
  {
    file: /./,
    test: /on Windows|while a scanner holds their files/,
    reason: "it runs by the Windows build, under Wine",
  },
];

/** Whether a test may be left out. */
export function mayBeIgnored({ file, name }: Pick<JunitCase, "file" | "name">): boolean {
  return MAY_BE_IGNORED.some((row) => row.file.test(file) && row.test.test(name));
}
