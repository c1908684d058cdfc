import { isWindows } from "./runtime.ts";

/** An argument as this system's shell takes it. */
export function quoteArgument(argument: string): string {
  const plain = isWindows ? /^[\w\-./:=,@%+\\]+$/ : /^[\w\-./:=,@%+]+$/;
  if (plain.test(argument)) return argument;
  return isWindows ? `"${argument.replaceAll('"', '\\"')}"` : quotePosix(argument);
}

/** An argument in the single quotes of a POSIX shell. */
export function quotePosix(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}
