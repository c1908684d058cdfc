import { providersRun } from "../live/behaviour/providers/run_table.ts";
import { roomList } from "./room_list.ts";
import { cliReference, optionTable } from "./reference_tables.ts";
import { refusalList } from "./refusal_table.ts";
import { backendList, needTable, quickStartFlags } from "./permission_table.ts";

type Parts = Record<string, () => string | Promise<string>>;

/** The generated parts of each page, by their names in its marks. */
export const GENERATED_PARTS: Record<string, Parts> = {
  "README.md": { permissions: quickStartFlags },
  ".github/CONTRIBUTING.md": { rooms: roomList },
  "backends/own.md": recipes("tests/backends/testing/sqlite_store.ts"),
  "client/command_line.md": { commands: cliReference },
  "client/options.md": { options: optionTable, permissions: needTable, stores: backendList },
  "client/providers.md": { refusals: refusalList, "providers that were run": providersRun },
  "client/hubs.md": recipes(
    ...["file.py", "kernel.json", "vault.py", "notebooks.hcl"]
      .concat(["values.yaml", "vault.yaml"]
        .map((file) => `kubernetes/${file}`))
      .map((file) => `tests/live/hub/recipes/${file}`),
  ),
};

/** Files of the tests, which the page shows as they stand. */
function recipes(...files: string[]): Parts {
  return Object.fromEntries(files.map((file) => [file, () => recipe(file)]));
}

async function recipe(file: string): Promise<string> {
  const source = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
  const text = source.replace('"@validmind/auth"', '"jsr:@validmind/auth"');
  const language = file.split(".").at(-1)!.replace(/^py$/, "python");
  const title = language === "ts" ? `// ${file.split("/").at(-1)}\n` : "";
  return `\`\`\`${language}\n${title}${text.trimEnd()}\n\`\`\``;
}
