import { netHost } from "./host.ts";
import { pathOfUrl } from "./paths.ts";
import { isDeno, quoteArgument } from "./runtime.ts";

/** Whether a permission is there without a question. Elsewhere there are none to ask for. */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return !isDeno || Deno.permissions.querySync(permission).state === "granted";
}

/** Whether an error says that Deno denies a permission. */
export function isNotCapable(error: unknown): error is Error {
  return isDeno && error instanceof Deno.errors.NotCapable;
}

/**
 * Refuses a request that Deno would deny: with a Blob as its body, which Deno sends as a stream, a denied
 * one would keep the process from ending. Not for a `fetch` of the caller's.
 */
export function assertNet(url: URL): void {
  const host = netHost(url);
  if (isGranted({ name: "net", host })) return;
  throw new Deno.errors.NotCapable(`Requires net access to "${host}"`);
}

/** A flag of Deno, for an error. */
export function permissionFlag(name: string, ...values: readonly string[]): string {
  return values.some((one) => one.includes(","))
    ? `a permission set in deno.json with ${JSON.stringify({ [name]: values })}`
    : quoteArgument(`--allow-${name}=${values}`);
}

/** The names that `deno test` takes for tests. */
const TEST_NAME = /(\/__tests__\/.*|[/_.]test)\.[cm]?[jt]sx?$/;

/** The words after such a command: the arguments may hold a secret, and are not shown. */
export function withOwn(): string {
  const worker = Deno.mainModule ? "" : " A worker also needs them in its own permissions.";
  return `\nwith your script's own flags and arguments.${worker}`;
}

/** The command that runs this program again with these flags. */
export function runLine(flags: string): string {
  const { mainModule = "/$deno$" } = Deno; // a worker has none
  const isText = mainModule.includes("/$deno$"); // given to Deno without a file
  const script = isText ? "script.ts" : pathOfUrl(new URL(mainModule)) ?? mainModule;
  const verb = TEST_NAME.test(mainModule) ? "test" : "run";
  return `deno ${verb} ${flags} ${quoteArgument(script)}`;
}
