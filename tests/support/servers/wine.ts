import { isThere } from "./servers.ts";

/** The Deno that runs in it: the one of `.ci/run`. */
export const WINDOWS_DENO_VERSION = "2.9.6";

/** Debian's release whose Wine, 10, has the libraries that Deno needs: 8 does not. */
export const WINE_DEBIAN = "trixie";

/** Kept from the start: a test may change HOME for as long as it runs. */
const CACHE = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`;

/** Everything about it: the version of what is in it is part of the path. */
export const WINE_FOLDER =
  `${CACHE}/validmind-auth/servers/wine-${WINE_DEBIAN}-deno-${WINDOWS_DENO_VERSION}`;

/** Written last, so that a stopped build never looks finished. */
export const WINE_READY = "ready";

/** The Wine prefix, as the processes in the root folder of Debian see it. */
const PREFIX = "/wine";

/** Deno, as Windows sees it. */
const DENO_EXE = "C:\\deno.exe";

const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
  HOME: "/root",
  LANG: "C.UTF-8",
  TERM: "dumb",
  NO_COLOR: "1",
  WINEPREFIX: PREFIX,
  WINEARCH: "win64",
  WINEDEBUG: "-all",
  // No dialog that offers Mono and Gecko, no entries in the menus of this machine.
  WINEDLLOVERRIDES: "mscoree,mshtml=;winemenubuilder.exe=d",
  DENO_DIR: "C:\\deno-dir",
  DENO_NO_UPDATE_CHECK: "1",
};

/** Mounts what programs need, in a namespace of mounts that ends with the program. */
const ENTER = 'root=$0; for part in proc sys dev; do mount --rbind "/$part" "$root/$part"; done; ' +
  'exec chroot "$root" "$@"';

/** The parts of a root folder of Debian with Wine in it. */
export interface WineParts {
  /** What `chroot` goes to. */
  readonly root: string;
  /** Windows' `C:`. */
  readonly drive: string;
}

/** The parts, below the folder that they are built in. */
export function wineParts(folder: string = WINE_FOLDER): WineParts {
  return { root: `${folder}/root`, drive: `${folder}/root${PREFIX}/drive_c` };
}

/** Whether it was built. */
export function hasWine(): Promise<boolean> {
  return isThere(`${WINE_FOLDER}/${WINE_READY}`);
}

/** Why Wine cannot be used here; `undefined` where it can. */
export function whyNoWine(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    return "Wine needs Linux on x86-64";
  }
  return Deno.uid() === 0 ? undefined : "Wine in a folder of its own needs root, for chroot";
}

/** The command line of a program in the root folder of Debian. */
export function inDebian(root: string, command: readonly string[]): [string, ...string[]] {
  return ["unshare", "--mount", "sh", "-c", ENTER, root, ...command];
}

/** Where a program of Windows runs, and with what. */
export interface WindowsOptions {
  /** Below `C:`, with slashes. @default {the root of the drive} */
  folder?: string;
  /** Variables of Windows. */
  env?: Readonly<Record<string, string>>;
  /** @default {the root folder of the built one} */
  root?: string;
}

/** The command line of a program of Wine, such as `wineserver`. */
export function inWine(
  command: readonly string[],
  { folder = "", env = {}, root = wineParts().root }: WindowsOptions = {},
): [string, ...string[]] {
  const variables = Object.entries({ ...ENVIRONMENT, ...env }).map((pair) => pair.join("="));
  const where = `${PREFIX}/drive_c/${folder}`;
  return inDebian(root, [
    ...["env", "--ignore-environment", `--chdir=${where}`, ...variables],
    ...command,
  ]);
}

/** The command line of the Windows build of Deno. */
export function denoOnWindows(args: readonly string[], options?: WindowsOptions) {
  return inWine(["wine", DENO_EXE, ...args], options);
}
