import type * as keyring from "@napi-rs/keyring";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { LONGEST_TIMER_MS, untilAborted } from "../common/promises.ts";
import { printable } from "../common/printable.ts";
import { type KeychainLimits, keychainLimits } from "./encoding.ts";
import type { KeychainLibrary } from "./library.ts";

type Code = CredentialsBackendError["code"];
type Os = typeof Deno.build.os;

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

const KEYCHAIN_NAMES: Partial<Record<Os, string>> = {
  darwin: "the macOS Keychain",
  windows: "the Windows Credential Manager",
  linux: "the Secret Service (GNOME Keyring, KWallet, KeePassXC)",
};

const UNLOCK =
  "Unlock it: on macOS with `security unlock-keychain`, on Linux in Passwords and Keys (seahorse), " +
  "or without a desktop with `gnome-keyring-daemon --unlock` and the password on standard input.";
const START = "Run it in the person's own session, or use another backend. On Linux without a " +
  "desktop run it under `dbus-run-session`, after `gnome-keyring-daemon --unlock " +
  "--components=secrets`.";
const ALLOW = "Allow this program the access, as the person whom the keychain belongs to.";
const WAIT = "See whether it waits for somebody to unlock it, and whether its service hangs.";

type Fault = readonly [code: Code, reason: string, advice: string];

/** Errors by words of the libraries below `@napi-rs/keyring`. The first match wins. */
const FAULTS: readonly [pattern: RegExp, ...Fault][] = [
  [
    /object locked|prompt was dismissed|IsLocked|interaction is not allowed|-25308/i,
    "keychain_locked",
    "it is locked, and was not unlocked when it asked for it",
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

/** A keychain through the native library, with a time limit on each call. */
export function nativeKeychainClient(
  library: KeychainLibrary,
  service: string,
  timeoutMs: number,
  isLinux: boolean = Deno.build.os === "linux",
): KeychainClient {
  const limited = async <T>(action: string, run: () => Promise<T>): Promise<T> => {
    // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
    const late = AbortSignal.timeout(Math.min(timeoutMs, LONGEST_TIMER_MS));
    try {
      return await untilAborted(run(), late);
    } catch (error) {
      const isLate = late.aborted && error === late.reason;
      throw keychainError(`${action} credentials in`, service, isLate ? timeoutMs : error);
    }
  };
  const call = async <T>(
    action: string,
    account: string,
    run: (entry: keyring.AsyncEntry) => Promise<T>,
  ): Promise<T> => {
    // A connection is made without yielding, so not before it is known that somebody answers.
    if (isLinux) await limited(action, () => library.findCredentialsAsync(`${service} (none)`));
    const connect = () => new library.AsyncEntry(service, account, OPTIONS);
    return await limited(action, async () => await run(connect()));
  };

  return {
    limits: keychainLimits(),
    get: async (account) =>
      await call("read", account, (entry) => entry.getPassword()) ?? undefined,
    set: async (account, value) => {
      await call("write", account, (entry) => entry.setPassword(value));
    },
    delete: async (account) => {
      await call("delete", account, (entry) => entry.deleteCredential());
    },
    find: async () => {
      const found = await limited("list", () => library.findCredentialsAsync(service));
      return new Map(found.map(({ account, password }) => [account, password]));
    },
  };
}

/** @param error What the library threw, or the time limit in milliseconds that has passed. */
export function keychainError(
  action: string,
  service: string,
  error: unknown,
  os: Os = Deno.build.os,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const [code, reason, advice] = explain(error);
  const end = typeof error === "number"
    ? " Deno cannot break off the call: if this process then does not end, end it with Deno.exit()."
    : "";
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${describeKeychain(service, os)}: ${reason}. ${advice}${end}`,
  );
}

function explain(error: unknown): Fault {
  if (typeof error === "number") return ["backend_timeout", `no answer within ${error} ms`, WAIT];
  const text = nativeText(error);
  const [, ...fault] = FAULTS.find(([pattern]) => pattern.test(text ?? "")) ?? [];
  if (fault.length === 3) return fault;
  const name = error instanceof Error ? printable(error.name, 60) : "unknown error";
  return ["backend_unavailable", text ?? name, START];
}

export function describeKeychain(service: string, os: Os = Deno.build.os): string {
  return `"${service}" in ${KEYCHAIN_NAMES[os] ?? "the OS keychain"}`;
}

/** The words of the native libraries, which hold no stored value. Another error is shown by its name. */
function nativeText(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const [text] = /^(Platform failure|Couldn't access platform storage|Value of|zbus|Secret)[^\n]*/
    .exec(error.message) ?? [];
  // The owner of the service's name on the bus chooses the words.
  return text === undefined ? undefined : printable(text).replace(/\.$/, "");
}
