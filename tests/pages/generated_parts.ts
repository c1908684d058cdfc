import { providersRun } from "../live/behaviour/providers/run_table.ts";
import { cliReference } from "./cli_reference.ts";
import type { Generated } from "./generated_part.ts";
import { hubRecipe, recipe } from "./hub_recipes.ts";
import { optionTable } from "./option_table.ts";
import { backendTable, needTable, quickStartFlags } from "./permission_table.ts";

/** The generated parts of each page. */
export const GENERATED_PARTS: Record<string, (() => Generated | Promise<Generated>)[]> = {
  "README.md": [quickStartFlags],
  "backends/own.md": [
    recipe("backends/testing/sqlite_store.ts"),
    recipe("backends/helper/keyring_helper.py"),
  ],
  "client/command_line.md": [cliReference],
  "client/options.md": [optionTable, needTable, backendTable],
  "client/providers.md": [providersRun],
  "client/hubs.md": [
    ...["file.py", "kernel.json", "vault.py", "notebooks.hcl"],
    ...["values.yaml", "helper.yaml", "vault.yaml"]
      .map((file) => `kubernetes/${file}`),
    "kubernetes/notebooks.hcl",
  ].map(hubRecipe),
};
