// Puts the permission tables into README.md: `deno task readme`.
import { BEGIN, END, permissionTables } from "./permission_table.ts";

const path = new URL("../../README.md", import.meta.url);
const text = await Deno.readTextFile(path);
const before = text.slice(0, text.indexOf(BEGIN));
const after = text.slice(text.indexOf(END) + END.length);
await Deno.writeTextFile(path, before + await permissionTables() + after);
