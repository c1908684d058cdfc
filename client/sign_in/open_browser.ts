import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isSecureUrl } from "../../backends/common/host.ts";
import { isGranted } from "../../backends/common/permission.ts";
import { faultOfPath } from "../../backends/common/paths.ts";
import { isDeno } from "../../backends/common/runtime.ts";
import { browserLauncher } from "../permissions/preflight.ts";

/**
 * Opens a page in the person's browser, without a shell in between. Only a page of the web is opened.
 *
 * The program that opens it gets the variables of a desktop and no others: this process's may hold an
 * API secret. It gets the page as its argument, which every user of the host may be able to read. It
 * takes a page in no other way. The address of a page holds no token: see `BrowserStart`.
 *
 * @returns The reason why it could not be opened, or `undefined`. Waits for the program that opens it,
 * which may be the browser itself, but does not keep the process alive for it.
 */
export async function openBrowser(page: string): Promise<string | undefined> {
  const url = URL.parse(page);
  if (!url || !isSecureUrl(url)) return "the page is not an https: page";
  if (!isDeno) return "this needs Deno";
  const { command, before, variables } = browserLauncher();
  if (!isGranted({ name: "run", command })) {
    return `${command} is not installed, or needs --allow-run=${command}`;
  }
  try {
    const env = readable(variables); // or the error of one that is not UTF-8
    // Also for the programs that it starts, such as the browser.
    const fault = env.PATH && faultOfPath(env.PATH);
    if (fault) return fault;
    const child = new Deno.Command(command, {
      args: [...before, page],
      clearEnv: true,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    child.unref();
    return (await child.status).success ? undefined : `${command} found no browser`;
  } catch {
    return `${command} cannot be run`;
  }
}

/** Variables with their values, as far as Deno lets them be read without a question. */
function readable(variables: readonly string[]) {
  const found: Record<string, string> = {};
  for (const name of variables) {
    const value = readEnvIfGranted(name);
    if (value) found[name] = value;
  }
  return found;
}
