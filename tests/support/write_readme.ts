// Writes the generated parts of README.md and CONTRIBUTING.md: `deno task readme`.
import { CLI_BEGIN, CLI_END, cliReference } from "./cli_reference.ts";
import { BEGIN, END, permissionTables } from "./permission_table.ts";
import { writeLazyTable } from "./rooms.ts";

const path = new URL("../../README.md", import.meta.url);
let text = await Deno.readTextFile(path);
text = between(text, BEGIN, END, await permissionTables());
text = between(text, CLI_BEGIN, CLI_END, await cliReference());
await Deno.writeTextFile(path, text);
await writeLazyTable();

function between(text: string, begin: string, end: string, part: string): string {
  const before = text.slice(0, text.indexOf(begin));
  return before + part + text.slice(text.indexOf(end) + end.length);
}
