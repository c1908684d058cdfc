/** Options of `Deno.test`, or why the tests are ignored, which their names then have. */
type Options = Pick<Deno.TestDefinition, "permissions" | "ignore"> & {
  whyNot?: string | undefined;
};

/** Why tests that need a program are ignored; `undefined` where it is there. */
export function whyWithout(program: string, isThere: boolean): string | undefined {
  return isThere ? undefined : `there is no ${program}`;
}

/** `Deno.test` with these options, for tests whose names begin alike. */
export function testWith(
  { whyNot, ignore = whyNot !== undefined, ...options }: Options,
  prefix = "",
): (name: string, fn: () => void | Promise<void>) => void {
  const reason = whyNot === undefined ? "" : ` (ignored: ${whyNot})`;
  return (name, fn) => Deno.test(`${prefix}${name}${reason}`, { ignore, ...options }, fn);
}
