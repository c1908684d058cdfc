import { replace } from "./replace.ts";

/** All who wait for warnings: a further one takes nothing from the others. */
const listeners: string[][] = [];

/** The warnings of stores in this isolate from now on, which then do not reach standard error. */
export function catchWarnings(): string[] {
  const warnings: string[] = [];
  if (listeners.push(warnings) > 1) return warnings;
  replace(Deno.stderr, "writeSync", (bytes) => {
    const text = new TextDecoder().decode(bytes);
    const warning = text.replace(/^@validmind\/auth: (.*)\n$/s, "$1");
    for (const one of listeners) one.push(warning);
    return bytes.length;
  });
  return warnings;
}
