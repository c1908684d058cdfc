/** The program that opens a page in the person's browser, with the arguments before the page. */
const LAUNCHERS: Partial<Record<typeof Deno.build.os, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** The program for this system. */
export function browserLauncher(): readonly [command: string, ...before: string[]] {
  return LAUNCHERS[Deno.build.os] ?? ["xdg-open"];
}
