// Writes the tables of .github/MESSAGES.md anew: `deno task messages`.
import { replacePart } from "../support/generated_part.ts";
import { MESSAGES_PAGE, sectionOf, SECTIONS } from "./messages_page.ts";

let page = await Deno.readTextFile(MESSAGES_PAGE);
for (const section of SECTIONS) page = replacePart(page, await sectionOf(section));
await Deno.writeTextFile(MESSAGES_PAGE, page);
