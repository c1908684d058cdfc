import type * as keyring from "@napi-rs/keyring";
import { isDeno, isNotCapable, pathOfUrl, permissionFlag } from "../common/platform.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";

/** Node's `process`, by its global: Deno would read `node:process` ahead for every start. */
declare const process: { dlopen(module: object, path: string): void };

export type KeychainLibrary = Pick<typeof keyring, "AsyncEntry" | "findCredentialsAsync">;

/** The release of `@napi-rs/keyring`. deno.json names the same one. */
export const KEYRING_VERSION = "2.1.2";

/** The packages in which `@napi-rs/keyring` ships its native libraries, by Deno's targets. */
export const KEYRING_PACKAGES: Readonly<Record<string, string>> = {
  "aarch64-apple-darwin": "@napi-rs/keyring-darwin-arm64",
  "aarch64-pc-windows-msvc": "@napi-rs/keyring-win32-arm64-msvc",
  "aarch64-unknown-linux-gnu": "@napi-rs/keyring-linux-arm64-gnu",
  "x86_64-apple-darwin": "@napi-rs/keyring-darwin-x64",
  "x86_64-pc-windows-msvc": "@napi-rs/keyring-win32-x64-msvc",
  "x86_64-unknown-linux-gnu": "@napi-rs/keyring-linux-x64-gnu",
};

/**
 * The path of this platform's native library in Deno's cache. `undefined` where there is none, or it
 * cannot be fetched. The library is not loaded for this, and no permission is needed.
 *
 * Declaring permissions takes this path, so it has to be known at once. The await stands for a static
 * import that depends on the platform, which the language lacks. The package's own loader is not
 * used: it reads three variables and a file of the system, and loads any library that the
 * environment names.
 */
export const libraryPath: string | undefined = isDeno
  ? await locateLibrary(Deno.build.target)
  : undefined;

/** Has Deno fetch the package for `target`, and gives the path of the library in it. */
export async function locateLibrary(target: string): Promise<string | undefined> {
  const name = KEYRING_PACKAGES[target];
  if (name === undefined) return undefined;
  const specifier = `npm:${name}@${KEYRING_VERSION}/package.json`;
  try {
    const { default: manifest } = await import(specifier, { with: { type: "json" } });
    return pathOfUrl(new URL(manifest.main, import.meta.resolve(specifier)));
  } catch {
    return undefined; // the registry is out of reach: openKeychainLibrary() reports it
  }
}

/** Loads the native library. Needs `--allow-ffi` for its path, and nothing else. */
export function openKeychainLibrary(path: string | undefined): KeychainLibrary {
  if (path === undefined) {
    throw new CredentialsBackendError(
      "backend_unavailable",
      `Cannot use the OS keychain: there is no library of @napi-rs/keyring for ` +
        `${Deno.build.target}, or Deno could not fetch it. Check the npm registry, or use another ` +
        `backend.`,
    );
  }
  const module = { exports: {} as KeychainLibrary };
  try {
    process.dlopen(module, path);
  } catch (error) {
    if (isNotCapable(error)) {
      throw new CredentialsBackendError(
        "permission_required",
        `Cannot use the OS keychain: Deno does not permit its library. Run with: ` +
          permissionFlag("ffi", path),
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
