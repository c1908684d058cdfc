import type * as keyring from "@napi-rs/keyring";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf } from "../credentials_path.ts";

const isWindows = Deno.build.os === "windows";

/** What is used of the native library. */
export type KeychainLibrary = Pick<typeof keyring, "AsyncEntry" | "findCredentialsAsync">;

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
    return `${folderOf(pathOfUrl(url))}${isWindows ? "\\" : "/"}${manifest.main}`;
  } catch {
    return undefined; // out of reach of the registry, and not fetched before: told at the first use
  }
}

/** Loads the native library. Needs `--allow-ffi` for its path, and nothing else. */
export async function openKeychainLibrary(path: string | undefined): Promise<KeychainLibrary> {
  if (path === undefined) {
    throw new CredentialsBackendError(
      "backend_unavailable",
      `Cannot use the OS keychain: there is no library of @napi-rs/keyring for ` +
        `${Deno.build.target}, or Deno could not fetch it. Check the npm registry, or use another ` +
        `backend.`,
    );
  }
  const { default: process } = await import("node:process"); // no start should pay for it
  const module = { exports: {} as KeychainLibrary };
  try {
    process.dlopen(module, path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new CredentialsBackendError(
        "permission_required",
        `Cannot use the OS keychain: Deno does not permit its library. Run with: ` +
          `--allow-ffi=${path}`,
      );
    }
    throw new CredentialsBackendError(
      "backend_unavailable",
      `Cannot use the OS keychain: its library ${path} does not load. Remove it from Deno's cache ` +
        `to have it fetched anew, or use another backend.`,
      { cause: error },
    );
  }
  return module.exports;
}

/**
 * The path of a `file:` URL that Deno itself made of one. Not by `@std/path`, three of whose modules
 * every start would read for it.
 */
export function pathOfUrl(url: string, forWindows: boolean = isWindows): string {
  const { hostname, pathname } = new URL(url);
  const path = decodeURIComponent(pathname);
  if (!forWindows) return path;
  const local = path.replaceAll("/", "\\");
  return hostname === "" ? local.replace(/^\\(?=[A-Za-z]:)/, "") : `\\\\${hostname}${local}`;
}
