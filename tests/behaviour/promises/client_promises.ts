import { COMMANDS } from "./client/commands.ts";
import { FILES } from "./client/files.ts";
import { KERNELS } from "./client/kernels.ts";
import { PEOPLE } from "./client/people.ts";
import { RECIPES } from "./client/recipes.ts";
import { RUNTIMES } from "./client/runtimes.ts";
import { SETTINGS } from "./client/settings.ts";
import type { PagePromises } from "./page_promises.ts";

const PARTS = [PEOPLE, RECIPES, RUNTIMES, KERNELS, SETTINGS, COMMANDS, FILES];

/** client/README.md, in the order of its sections. */
export const CLIENT: PagePromises = {
  promises: PARTS.flatMap(({ promises }) => promises),
  describes: [
    "The page of the client of `@validmind/auth`",
    "[README](../README.md) has the short form",
    ...PARTS.flatMap(({ describes }) => describes),
  ],
};
