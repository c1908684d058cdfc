/** An argument as this system's shell takes it. One without special characters stays as it is. */
export function quoteArgument(argument: string): string {
  const isWindows = Deno.build.os === "windows";
  const plain = isWindows ? /^[\w\-./:=,@%+\\]+$/ : /^[\w\-./:=,@%+]+$/;
  if (plain.test(argument)) return argument;
  return isWindows ? `"${argument.replaceAll('"', '\\"')}"` : quotePosix(argument);
}

/** An argument in the single quotes of a POSIX shell, in which nothing is special. */
export function quotePosix(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}
