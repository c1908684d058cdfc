import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { describeKeychain, keychainError, keychainTimeout } from "../../backends/keychain_error.ts";
import { rejectsWith } from "./rejects_with.ts";

type Case = [os: typeof Deno.build.os, text: string, code: string, advice: string];

/** The words of the libraries, as seen on Linux and as their sources have them for the others. */
const CASES: Case[] = [
  [
    "linux",
    "Couldn't access platform storage: Secret Service: unlock prompt was dismissed",
    "keychain_locked",
    "gnome-keyring-daemon --unlock",
  ],
  [
    "linux",
    "zbus error: org.freedesktop.Secret.Error.IsLocked: Cannot get secret of a locked object",
    "keychain_locked",
    "seahorse",
  ],
  [
    "linux",
    "Couldn't access platform storage: Secret Service: no result found",
    "backend_unavailable",
    "gnome-keyring-daemon --unlock --components=secrets",
  ],
  [
    "linux",
    "Platform failure: DBus error: Using X11 for dbus-daemon autolaunch was disabled at compile " +
    "time, set your DBUS_SESSION_BUS_ADDRESS instead",
    "backend_unavailable",
    "dbus-run-session",
  ],
  [
    "linux",
    "zbus error: Failed to connect to address `unix:path=/run/user/0/bus`: No such file",
    "backend_unavailable",
    "dbus-run-session",
  ],
  [
    "linux",
    "Platform failure: DBus error: Message recipient disconnected from message bus without replying",
    "backend_unavailable",
    "ended in the middle",
  ],
  [
    "linux",
    "Platform failure: DBus error: Did not receive a reply. Possible causes include: …",
    "backend_timeout",
    "hangs",
  ],
  [
    "linux",
    "zbus error: org.freedesktop.DBus.Error.AccessDenied: Rejected send message",
    "backend_denied",
    "Allow this program",
  ],
  [
    "darwin",
    "Platform failure: User interaction is not allowed.",
    "keychain_locked",
    "security unlock-keychain",
  ],
  [
    "darwin",
    "Platform failure: The user name or passphrase you entered is not correct.",
    "backend_denied",
    "Allow this program",
  ],
  ["darwin", "Platform failure: User canceled the operation.", "backend_denied", "Allow"],
  [
    "darwin",
    "Couldn't access platform storage: The specified keychain could not be found.",
    "backend_unavailable",
    "login session",
  ],
  [
    "windows",
    "Couldn't access platform storage: A specified logon session does not exist.",
    "backend_unavailable",
    "logon session",
  ],
  ["windows", "Platform failure: Access is denied.", "backend_denied", "Allow this program"],
  [
    "windows",
    "Value of 'user' is longer than the platform limit of 513 chars",
    "backend_too_large",
    "another backend",
  ],
  ["linux", "Platform failure: Something else.", "backend_unavailable", "Something else. "],
];

for (const [os, text, code, advice] of CASES) {
  Deno.test(`keychain errors: ${os}: ${text.slice(0, 70)}`, async () => {
    const error = await rejectsWith(
      code as CredentialsBackendError["code"],
      () => {
        throw keychainError("read credentials in", "test", new Error(text), os);
      },
      `Cannot read credentials in "test" in the`,
      advice,
    );
    assert(!("cause" in error));
  });
}

Deno.test("keychain errors: what is coded already stays as it is", () => {
  const coded = new CredentialsBackendError("backend_locked", "Cannot lock: held. Wait.");
  assertEquals(keychainError("read", "test", coded), coded);
  assertEquals(keychainError("read", "test", "text").code, "backend_unavailable");
  assertEquals(keychainTimeout("read", "test", 5).code, "backend_timeout");
});

Deno.test("keychain errors: a system is told by the name that people know", () => {
  assertEquals(describeKeychain("a", "windows"), '"a" in the Windows Credential Manager');
  assertStringIncludes(describeKeychain("a", "linux"), "GNOME Keyring");
  assertEquals(describeKeychain("a", "freebsd"), '"a" in the OS keychain');
});

Deno.test("words that a service on the bus chose bring no escape sequences to a terminal", () => {
  const words = "zbus error: org.evil.Name: \u001b]0;owned\u0007\u001b[2J\u202eend";
  const { message } = keychainError("read credentials in", "s", new Error(words), "linux");
  assertStringIncludes(message, "org.evil.Name:");
  // deno-lint-ignore no-control-regex
  assertEquals(/[\u0000-\u001f\u007f-\u009f\u202e]/.test(message), false);
});
