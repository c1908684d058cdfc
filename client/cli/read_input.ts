import { UsageError } from "./usage_error.ts";

/** The text of a file, or with `-` of standard input. */
export async function readInput(file: string): Promise<string> {
  if (file === "-") return await new Response(Deno.stdin.readable).text();
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    const name = error instanceof Error ? error.name : "unknown error";
    throw new UsageError(`Cannot read the file ${file}: ${name}. Check the path and its rights.`);
  }
}
