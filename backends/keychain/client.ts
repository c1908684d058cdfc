import type * as keyring from "@napi-rs/keyring";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { LONGEST_TIMER_MS, untilAborted } from "../common/promises.ts";
import { printable } from "../common/printable.ts";
import type { KeychainLibrary } from "./library.ts";

type Code = CredentialsBackendError["code"];
type Os = typeof Deno.build.os;

/** The values of one service in a keychain, by account. */
export interface KeychainClient {
  /** The value, or `undefined` only when there is none. */
  get(account: string): Promise<string | undefined>;
  set(account: string, value: string): Promise<void>;
  /** Removes a value; an absent one is no error. */
  delete(account: string): Promise<void>;
  /** All values by account. */
  find(): Promise<Map<string, string>>;
}

/** Only the store that survives a restart: left to itself the library takes the kernel's instead. */
const OPTIONS: keyring.EntryOptions = { linux: { store: "secret-service" } };

const KEYCHAIN_NAMES: Partial<Record<Os, string>> = {
  darwin: "the macOS Keychain",
  windows: "the Windows Credential Manager",
  linux: "the Secret Service (GNOME Keyring, KWallet, KeePassXC)",
};

const UNLOCK: Partial<Record<Os, string>> = {
  darwin: "Run `security unlock-keychain`, or unlock it in Keychain Access.",
  linux: "Unlock it in Passwords and Keys (seahorse), or without a desktop by " +
    "`gnome-keyring-daemon --unlock`, which reads the password from standard input.",
};

const START: Partial<Record<Os, string>> = {
  darwin: "Run it in the person's own login session, or use another backend.",
  windows: "Run it in the person's own logon session, or use another backend.",
  linux: "Without a desktop run it under `dbus-run-session` after " +
    "`gnome-keyring-daemon --unlock --components=secrets`, or use another backend.",
};

/** Errors by words of the libraries below `@napi-rs/keyring`. The first match wins. */
const FAULTS: readonly [code: Code, reason: string, pattern: RegExp][] = [
  [
    "keychain_locked",
    "it is locked, and was not unlocked when it asked for it",
    /object locked|prompt was dismissed|IsLocked|interaction is not allowed|-25308/i,
  ],
  [
    "backend_denied",
    "the system or the person refused the access",
    /AccessDenied|access is denied|not authorized|passphrase you entered|cancell?ed|-25293|-128\b/i,
  ],
  ["backend_timeout", "its service did not answer", /Did not receive a reply|NoReply|timed? ?out/i],
  ["backend_unavailable", "there is no default keyring to keep entries in", /no result found/i],
  [
    "backend_unavailable",
    "there is no such service in this session",
    /DBus session|DBUS_SESSION_BUS_ADDRESS|ServiceUnknown|not provided by any|connect to/i,
  ],
  [
    "backend_too_large",
    "a name or a value is longer than it takes",
    /longer than the platform limit/i,
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
  const [code, reason] = explain(error);
  const end = typeof error === "number"
    ? " Deno cannot break off the call: if this process then does not end, end it with Deno.exit()."
    : "";
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${describeKeychain(service, os)}: ${reason}. ${advice(code, os)}${end}`,
  );
}

function explain(error: unknown): readonly [code: Code, reason: string] {
  if (typeof error === "number") return ["backend_timeout", `no answer within ${error} ms`];
  const text = nativeText(error);
  const [code, reason] = FAULTS.find(([, , pattern]) => pattern.test(text ?? "")) ?? [];
  if (code !== undefined) return [code, reason!];
  const name = error instanceof Error ? printable(error.name, 60) : "unknown error";
  return ["backend_unavailable", text ?? name];
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

function advice(code: Code, os: Os): string {
  switch (code) {
    case "keychain_locked":
      return UNLOCK[os] ?? "Unlock it.";
    case "backend_denied":
      return "Allow this program the access, as the person whom the keychain belongs to.";
    case "backend_timeout":
      return "See whether it waits for somebody to unlock it, and whether its service hangs.";
    case "backend_too_large":
      return "Use another backend.";
    default:
      return START[os] ?? "Sign in to the desktop first, or use another backend.";
  }
}
