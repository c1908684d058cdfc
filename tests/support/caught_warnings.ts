import { replace } from "./replace.ts";

/** The warnings of stores in this process from now on, which then do not reach standard error. */
export function catchWarnings(): string[] {
  const warnings: string[] = [];
  replace(Deno.stderr, "writeSync", (bytes) => {
    const text = new TextDecoder().decode(bytes);
    warnings.push(text.replace(/^@validmind\/auth: (.*)\n$/s, "$1"));
    return bytes.length;
  });
  return warnings;
}
