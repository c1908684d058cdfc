const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Options of {@linkcode spawnModule}. */
export interface SpawnModuleOptions {
  /** @default {"null"} */
  stdin?: "null" | "piped";
  /** What stands before the command. */
  prefix?: readonly string[];
  /** Variables beyond those of this process. */
  env?: Readonly<Record<string, string>>;
}

/** Starts a module of this folder in a process of its own. */
export function spawnModule(
  module: string,
  args: readonly string[],
  { stdin = "null", prefix = [], env = {} }: SpawnModuleOptions = {},
): Deno.ChildProcess {
  const [command = "", ...rest] = [...prefix, ...moduleCommand(module, args)];
  return new Deno.Command(command, {
    args: rest,
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The command that runs a module of this folder, with every permission unless flags name some. */
export function moduleCommand(
  module: string,
  args: readonly string[],
  permissions: readonly string[] = ["--allow-all"],
): string[] {
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-check",
    ...permissions,
    "--unstable-kv",
    "--config",
    CONFIG,
    new URL(module, import.meta.url).href,
    ...args,
  ];
}
