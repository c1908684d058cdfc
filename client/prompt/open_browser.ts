import { isLoopback } from "../../backends/hosts.ts";
import { browserLauncher } from "../preflight.ts";

/**
 * Opens a page in the person's browser. No shell is between, and only pages of the web are opened.
 *
 * @returns Why it could not be opened, or `undefined`. Waits for the program that opens it, which may
 * be the browser itself, but does not keep the process alive for it.
 */
export async function openBrowser(page: string): Promise<string | undefined> {
  if (!isPage(page)) return "the page is no https: page";
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

function isPage(page: string): boolean {
  const url = URL.parse(page);
  return url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
}
