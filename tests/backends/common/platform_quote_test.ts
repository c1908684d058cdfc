import { assertEquals } from "@std/assert";
import { permissionFlag, quoteArgument, quotePosix } from "../../../backends/common/platform.ts";
import { DENO, mustRun } from "../../support/deno_process.ts";

Deno.test("quoteArgument leaves plain arguments alone and quotes the others", {
  permissions: "none",
  ignore: Deno.build.os === "windows",
}, () => {
  assertEquals(quoteArgument("--allow-read=/a/b_c,d"), "--allow-read=/a/b_c,d");
  assertEquals(quoteArgument("two words"), "'two words'");
  assertEquals(quoteArgument("a$(b)"), "'a$(b)'");
  assertEquals(quoteArgument("a\\b"), "'a\\b'");
  assertEquals(quoteArgument(""), "''");
  assertEquals(quotePosix("it's"), "'it'\\''s'");
});

Deno.test(
  "a shell gets back what was quoted",
  { ignore: Deno.build.os === "windows" },
  async () => {
    const argument = `a 'b' "c" $HOME \`d\` \\ ! ; \n e`;
    const command = ["sh", "-c", `printf %s ${quoteArgument(argument)}`];
    assertEquals(await mustRun(command), argument);
  },
);

Deno.test("permissionFlag: a shell and Deno get the values, whatever is in them", {
  ignore: Deno.build.os === "windows",
}, async () => {
  for (
    const [name, value, descriptor] of [
      ["read", "/srv/my files/a'b", { name: "read", path: "/srv/my files/a'b" }],
      ["net", "[::1]:8080", { name: "net", host: "[::1]:8080" }],
      ["env", "HOME", { name: "env", variable: "HOME" }],
    ] as const
  ) {
    const code = `console.log(Deno.permissions.querySync(${JSON.stringify(descriptor)}).state)`;
    const line = `${quotePosix(DENO)} run --no-prompt --no-config ${permissionFlag(name, value)} ${
      quotePosix(`data:,${encodeURIComponent(code)}`)
    }`;
    assertEquals(await mustRun(["sh", "-c", line]), "granted\n", line);
  }
});

Deno.test("permissionFlag: a comma, which no flag can carry, takes a permission set", () => {
  assertEquals(
    permissionFlag("read", "/srv/a,b"),
    'a permission set in deno.json with {"read":["/srv/a,b"]}',
  );
});
