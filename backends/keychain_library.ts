import { fromFileUrl as fromPosixUrl } from "@std/path/posix/from-file-url";
import { fromFileUrl as fromWindowsUrl } from "@std/path/windows/from-file-url";
import { folderOf } from "./credentials_path.ts";

/** The release of `@napi-rs/keyring` that is used; deno.json names the same. */
export const KEYRING_VERSION = "2.1.2";

/** The packages in which `@napi-rs/keyring` ships its native libraries, by Deno's targets. */
const PACKAGES: Readonly<Record<string, string>> = {
  "aarch64-apple-darwin": "@napi-rs/keyring-darwin-arm64",
  "aarch64-pc-windows-msvc": "@napi-rs/keyring-win32-arm64-msvc",
  "aarch64-unknown-linux-gnu": "@napi-rs/keyring-linux-arm64-gnu",
  "x86_64-apple-darwin": "@napi-rs/keyring-darwin-x64",
  "x86_64-pc-windows-msvc": "@napi-rs/keyring-win32-x64-msvc",
  "x86_64-unknown-linux-gnu": "@napi-rs/keyring-linux-x64-gnu",
};

/**
 * Where Deno keeps the native library of this platform; `undefined` where there is none, or it cannot
 * be had. Nothing of it is loaded, and no permission is needed to know it.
 *
 * The await stands for a static import that depends on the platform, which the language lacks: the
 * path has to be known when permissions are declared. The package's own loader is passed by: it
 * reads three variables and a file of the system, and loads whatever library the environment names.
 */
export const libraryPath: string | undefined = await locateLibrary(Deno.build.target);

/** Has Deno fetch the package for `target`, and gives the path of the library in it. */
export async function locateLibrary(target: string): Promise<string | undefined> {
  const name = PACKAGES[target];
  if (name === undefined) return undefined;
  const specifier = `npm:${name}@${KEYRING_VERSION}/package.json`;
  try {
    const { default: manifest } = await import(specifier, { with: { type: "json" } });
    const url = import.meta.resolve(specifier);
    if (!url.startsWith("file:")) return undefined;
    const isWindows = Deno.build.os === "windows";
    const folder = folderOf((isWindows ? fromWindowsUrl : fromPosixUrl)(url));
    return `${folder}${isWindows ? "\\" : "/"}${manifest.main}`;
  } catch {
    return undefined; // out of reach of the registry, and not fetched before: told at the first use
  }
}
