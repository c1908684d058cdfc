import { assertEquals } from "@std/assert";
import { quoteArgument, quotePosix } from "../../client/format_permissions.ts";
import { mustRun } from "../support/deno_process.ts";

Deno.test({
  name: "quoteArgument leaves plain arguments alone and quotes the others",
  permissions: "none",
  ignore: Deno.build.os === "windows",
  fn() {
    assertEquals(quoteArgument("--allow-read=/a/b_c,d"), "--allow-read=/a/b_c,d");
    assertEquals(quoteArgument("two words"), "'two words'");
    assertEquals(quoteArgument("a$(b)"), "'a$(b)'");
    assertEquals(quoteArgument("a\\b"), "'a\\b'");
    assertEquals(quoteArgument(""), "''");
    assertEquals(quotePosix("it's"), "'it'\\''s'");
  },
});

Deno.test({
  name: "a shell gets back what was quoted",
  ignore: Deno.build.os === "windows",
  async fn() {
    const argument = `a 'b' "c" $HOME \`d\` \\ ! ; \n e`;
    const command = ["sh", "-c", `printf %s ${quoteArgument(argument)}`];
    assertEquals(await mustRun(command), argument);
  },
});
