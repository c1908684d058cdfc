import { BROWSER_TARGETS } from "./browser_targets.ts";
import type { FuzzTarget } from "./fuzz_target.ts";
import { PROVIDER_TARGETS } from "./provider_targets.ts";
import { STORE_TARGETS } from "./store_targets.ts";
import { TEXT_TARGETS } from "./text_targets.ts";

/** Every parser of text from outside. */
export const TARGETS: readonly FuzzTarget[] = [
  ...TEXT_TARGETS,
  ...STORE_TARGETS,
  ...PROVIDER_TARGETS,
  ...BROWSER_TARGETS,
];
