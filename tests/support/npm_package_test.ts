import { assertEquals } from "@std/assert";
import { withNpmSpecifiers } from "./npm_package.ts";

Deno.test("imports get the names that they have on npm, and other texts stay", () => {
  const rows = [
    ['import { a } from "./a.ts";', 'import { a } from "./a.js";'],
    ['export { a, b } from "../b/c.ts";', 'export { a, b } from "../b/c.js";'],
    ['import {\n  a,\n  b,\n} from "./a.ts";', 'import {\n  a,\n  b,\n} from "./a.js";'],
    ['const load = ()=>import("./a.ts");', 'const load = ()=>import("./a.js");'],
    [
      'import { resolve } from "@std/path/posix/resolve";',
      'import { resolve } from "@jsr/std__path/posix/resolve";',
    ],
    [
      'import { os } from "jsr:@std/internal@^1.0.12/os";',
      'import { os } from "@jsr/std__internal/os";',
    ],
    ['import * as oauth from "oauth4webapi";', 'import * as oauth from "oauth4webapi";'],
    ['const after = "script.ts";', 'const after = "script.ts";'],
  ] as const;
  for (const [source, made] of rows) assertEquals(withNpmSpecifiers(source), made);
});
