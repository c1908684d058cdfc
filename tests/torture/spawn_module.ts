const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Starts a module of this folder in a process of its own. */
export function spawnModule(
  module: string,
  args: readonly string[],
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--allow-all",
      "--unstable-kv",
      "--config",
      CONFIG,
      new URL(module, import.meta.url).href,
      ...args,
    ],
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
