import { isSecureUrl } from "../../backends/common/hosts.ts";
import { browserLauncher } from "../permissions/browser_launcher.ts";

/**
 * Opens a page in the person's browser, without a shell in between. Only a page of the web is opened.
 *
 * @returns The reason why it could not be opened, or `undefined`. Waits for the program that opens it,
 * which may be the browser itself, but does not keep the process alive for it.
 */
export async function openBrowser(page: string): Promise<string | undefined> {
  const url = URL.parse(page);
  if (url === null || !isSecureUrl(url)) return "the page is no https: page";
  const [command, ...before] = browserLauncher();
  if (Deno.permissions.querySync({ name: "run", command }).state !== "granted") {
    return `${command} is not installed, or not permitted by --allow-run=${command}`;
  }
  try {
    const child = new Deno.Command(command, {
      args: [...before, page],
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
