import type * as keyring from "@napi-rs/keyring";
import { pathOfUrl } from "../common/paths.ts";
import { isNotCapable, permissionFlag } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { within } from "../common/promises.ts";
import { repeat } from "../common/repeat.ts";
import { isDeno } from "../common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";

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
    throw new CredentialsBackendError("backend_unavailable", {
      action: "use the OS keychain",
      reason: `there is no library of @napi-rs/keyring for ${Deno.build.target}, or Deno could ` +
        "not fetch it",
      remedy: "Check the npm registry, or use another backend.",
    });
  }
  const module = { exports: {} as KeychainLibrary };
  try {
    process.dlopen(module, path);
  } catch (error) {
    if (isNotCapable(error)) {
      throw new CredentialsBackendError("permission_required", {
        action: "use the OS keychain",
        reason: "Deno does not permit its library",
        remedy: `Run with: ${permissionFlag("ffi", path)}`,
      });
    }
    throw new CredentialsBackendError("backend_unavailable", {
      action: "use the OS keychain",
      reason: `its library ${path} does not load`,
      remedy: "Remove it from Deno's cache to have it fetched again, or use another backend.",
      cause: error,
    });
  }
  return module.exports;
}

export interface KeychainLimits {
  /** Longest value, in ASCII characters: a longer one is cut. */
  valueChars: number;
  /** Whether two accounts are one that differ only in upper and lower case. */
  ignoresCase: boolean;
}

/** Windows takes 2560 bytes of UTF-16. */
export function keychainLimits(os: typeof Deno.build.os = Deno.build.os): KeychainLimits {
  const isWindows = os === "windows";
  return { valueChars: isWindows ? 1280 : Infinity, ignoresCase: isWindows };
}

/** The values of one service in a keychain, by account. */
export interface KeychainClient {
  readonly limits: KeychainLimits;
  /** The value, or `undefined` only when there is none. */
  get(account: string): Promise<string | undefined>;
  set(account: string, value: string): Promise<void>;
  /** Removes a value; an absent one is no error. */
  delete(account: string): Promise<void>;
  /** All values by account. */
  find(): Promise<Map<string, string>>;
}

/** A further option of the backend, for tests: takes the place of the system's keychain. */
export const CLIENT: unique symbol = Symbol("client");

/** Only the store that survives a restart: left to itself the library takes the kernel's instead. */
const OPTIONS: keyring.EntryOptions = { linux: { store: "secret-service" } };

const KEYCHAIN_NAMES: Partial<Record<typeof Deno.build.os, string>> = {
  darwin: "the macOS Keychain",
  windows: "the Windows Credential Manager",
  linux: "the Secret Service (GNOME Keyring, KWallet, KeePassXC)",
};

/** One line, since a bus that ends takes its unlocked keyring along. */
const WITHOUT_DESKTOP = "On Linux without a desktop run `dbus-run-session -- bash -c " +
  "'gnome-keyring-daemon --unlock --components=secrets < PASSWORD_FILE; PROGRAM'`.";
const UNLOCK =
  "Unlock it. On macOS run `security unlock-keychain`. On Linux use Passwords and Keys (seahorse). " +
  WITHOUT_DESKTOP;
const START =
  `Run this program in the person's own session, or use another backend. ${WITHOUT_DESKTOP}`;
const ALLOW = "Allow this program the access, as the owner of the keychain.";
const WAIT = "Check whether the keychain waits to be unlocked, and whether its service hangs.";

const NO_END =
  "Deno cannot cancel the call. If this process does not end by itself, call Deno.exit().";

type Fault = readonly [code: CredentialsBackendErrorCode, reason: string, advice: string];

/** Errors by words of the libraries below `@napi-rs/keyring`. The first match wins. */
const FAULTS: readonly [pattern: RegExp, ...Fault][] = [
  [
    /object locked|prompt was dismissed|IsLocked|interaction is not allowed|-25308/i,
    "keychain_locked",
    "it is locked, and nobody has unlocked it",
    UNLOCK,
  ],
  [
    /AccessDenied|access is denied|not authorized|passphrase you entered|cancell?ed|-25293|-128\b/i,
    "backend_denied",
    "the system or the person refused the access",
    ALLOW,
  ],
  [
    /Did not receive a reply|NoReply|timed? ?out/i,
    "backend_timeout",
    "its service did not answer",
    WAIT,
  ],
  [
    /no result found|DBus session|DBUS_SESSION_BUS_ADDRESS|ServiceUnknown|not provided by any|connect to/i,
    "backend_unavailable",
    "there is no such service in this session, or no default keyring",
    START,
  ],
  [
    /longer than the platform limit/i,
    "backend_too_large",
    "a name or a value is longer than it takes",
    "Use another backend.",
  ],
];

/** The Secret Service's words where another process has removed an item between two steps of a call. */
const REMOVED = /No such (interface|object)|does not exist at path/;

/** A keychain through the native library, with a time limit on each call. */
export function nativeKeychainClient(
  library: KeychainLibrary,
  service: string,
  timeoutMs: number,
  isLinux: boolean = Deno.build.os === "linux",
): KeychainClient {
  const limited = <T>(action: string, run: () => Promise<T>) =>
    withinLimits(`${action} credentials in`, service, timeoutMs, run);
  const call = async <T>(
    action: string,
    account: string,
    run: (entry: keyring.AsyncEntry) => Promise<T>,
  ) => {
    // A connection is made without yielding, so not before it is known that somebody answers.
    if (isLinux) await limited(action, () => library.findCredentialsAsync(`${service} (none)`));
    const connect = () => new library.AsyncEntry(service, account, OPTIONS);
    return await limited(action, async () => await run(connect()));
  };

  return {
    limits: keychainLimits(),
    get: async (account) =>
      await call("read", account, (entry) => entry.getPassword()) ?? undefined,
    set: (account, value) => call("write", account, (entry) => entry.setPassword(value)),
    delete: async (account) => {
      await call("delete", account, (entry) => entry.deleteCredential());
    },
    find: async () => {
      const found = await limited("list", () => library.findCredentialsAsync(service));
      return new Map(found.map(({ account, password }) => [account, password]));
    },
  };
}

/** Runs a call within a time limit. It is repeated where another process removes an item meanwhile. */
async function withinLimits<T>(
  action: string,
  service: string,
  timeoutMs: number,
  run: () => Promise<T>,
) {
  let removed: unknown;
  const limits = { tries: 5, over: () => keychainError(action, service, removed) };
  const attempt = async () => {
    try {
      return { value: await run() };
    } catch (error) {
      if (!REMOVED.test(nativeText(error) ?? "")) throw keychainError(action, service, error);
      removed = error;
      return undefined;
    }
  };
  const reason = `no answer within ${timeoutMs} ms`;
  const over = () => errorOf(action, service, ["backend_timeout", reason, `${WAIT} ${NO_END}`]);
  const { value } = await within(timeoutMs, () => repeat(limits, attempt), over);
  return value;
}

/** The coded error for one that the library threw. */
export function keychainError(
  action: string,
  service: string,
  error: unknown,
): CredentialsBackendError {
  return errorOf(action, service, explainNativeFault(error));
}

function errorOf(action: string, service: string, [code, reason, remedy]: Fault) {
  const parts = { action: `${action} ${describeKeychain(service)}`, reason, remedy };
  return new CredentialsBackendError(code, parts);
}

function explainNativeFault(error: unknown): Fault {
  const text = nativeText(error);
  const [, ...fault] = FAULTS.find(([pattern]) => pattern.test(text ?? "")) ?? [];
  if (fault.length === 3) return fault;
  const name = error instanceof Error ? printable(error.name) : "unknown error";
  return ["backend_unavailable", text ?? name, START];
}

export function describeKeychain(service: string): string {
  return `"${service}" in ${KEYCHAIN_NAMES[Deno.build.os] ?? "the OS keychain"}`;
}

/** The words of the native libraries, which hold no stored value. Another error is shown by its name. */
function nativeText(error: unknown) {
  if (!(error instanceof Error)) return undefined;
  const [text] = /^(Platform failure|Couldn't access platform storage|Value of|zbus|Secret)[^\n]*/
    .exec(error.message) ?? [];
  // The owner of the service's name on the bus chooses the words.
  return text === undefined ? undefined : printable(text).replace(/\.$/, "");
}
