import { assertEquals } from "@std/assert";
import { captureTerminal, hasTerminal } from "../../support/terminal.ts";
import { runDeno } from "../../support/deno_process.ts";

const TERMINAL = new URL("../../../client/prompt/terminal.ts", import.meta.url).href;
const CODE = `
  import { terminalNotice } from ${JSON.stringify(TERMINAL)};
  const notice = terminalNotice("Another process is\\x1b[31m refreshing");
  await Promise.resolve();
  notice.erase();
`;

Deno.test({
  name: "terminalNotice: a line in a terminal, which is taken away again",
  ignore: !hasTerminal,
  fn: async () => {
    const { text } = await captureTerminal({ code: CODE });
    const line = "Another process is [31m refreshing";
    assertEquals(text, `${line}\r${" ".repeat(line.length)}\r`);
    const { text: narrow } = await captureTerminal({ code: CODE, columns: 21 });
    assertEquals(narrow, `Another process is [\r${" ".repeat(20)}\r`);
  },
});

Deno.test("terminalNotice: nothing in a log", async () => {
  assertEquals(await runDeno({ code: CODE }), { code: 0, stdout: "", stderr: "" });
});
