import { CredentialsBackendError } from "./credentials_backend_error.ts";

/** What the keychain of each system is called. */
export const KEYCHAIN_NAMES: Partial<Record<typeof Deno.build.os, string>> = {
  darwin: "the macOS Keychain",
  windows: "the Windows Credential Manager",
  linux: "the Secret Service (GNOME Keyring, KWallet, KeePassXC)",
};

type Code = CredentialsBackendError["code"];
type Os = typeof Deno.build.os;

/** What the system says, by words of the libraries below `@napi-rs/keyring`. First match wins. */
const REASONS: readonly [pattern: RegExp, code: Code, reason: string][] = [
  [
    /object locked|prompt was dismissed|IsLocked|interaction is not allowed|-25308/i,
    "keychain_locked",
    "it is locked, and was not unlocked when it asked for it",
  ],
  [
    /AccessDenied|access is denied|not authorized|passphrase you entered|cancell?ed|-25293|-128\b/i,
    "backend_denied",
    "the system or the person refused the access",
  ],
  [
    /disconnected from message bus/i,
    "backend_unavailable",
    "its service ended in the middle of it",
  ],
  [
    /Did not receive a reply|NoReply|timed? ?out/i,
    "backend_timeout",
    "its service did not answer",
  ],
  [/no result found/i, "backend_unavailable", "there is no default keyring to keep entries in"],
  [
    /DBus session|DBUS_SESSION_BUS_ADDRESS|ServiceUnknown|not provided by any|connect to/i,
    "backend_unavailable",
    "there is no such service in this session",
  ],
  [/keychain could not be found|-25307|-25294/i, "backend_unavailable", "there is no keychain"],
  [/logon session/i, "backend_unavailable", "there is no logon session that it belongs to"],
  [
    /longer than the platform limit/i,
    "backend_too_large",
    "a name or a value is longer than it takes",
  ],
];

/** The coded error for what a call of the keychain threw. */
export function keychainError(
  action: string,
  service: string,
  error: unknown,
  os: Os = Deno.build.os,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const text = nativeText(error);
  const [, code, reason] = REASONS.find(([pattern]) => pattern.test(text ?? "")) ??
    [undefined, "backend_unavailable" as const, text ?? errorName(error)];
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${describeKeychain(service, os)}: ${reason}. ${advice(code, os)}`,
  );
}

/** The error for a call that did not come back in time. */
export function keychainTimeout(
  action: string,
  service: string,
  timeoutMs: number,
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_timeout",
    `Cannot ${action} ${describeKeychain(service)}: no answer within ${timeoutMs} ms. ` +
      `${
        advice("backend_timeout", Deno.build.os)
      } Deno cannot break off the call: if this process ` +
      `then does not end, end it with Deno.exit().`,
  );
}

/** A service's entries in words. */
export function describeKeychain(service: string, os: Os = Deno.build.os): string {
  return `"${service}" in ${KEYCHAIN_NAMES[os] ?? "the OS keychain"}`;
}

/**
 * The words of the native libraries, which hold no value that is stored. Of any other error only the
 * name is told.
 */
function nativeText(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const [text] = /^(Platform failure|Couldn't access platform storage|Value of|zbus|Secret)[^\n]*/
    .exec(error.message) ?? [];
  // Whoever owns the service's name on the bus chooses the words: no escape sequences for terminals.
  return text?.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 200).replace(/\.$/, "");
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "unknown error";
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
