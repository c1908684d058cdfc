import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import {
  describeKeychain,
  keychainError,
  nativeKeychainClient,
} from "../../../backends/keychain/client.ts";
import type { KeychainLibrary } from "../../../backends/keychain/library.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { KEY, SECRETS } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** A library that does what it is told, and notes what it was asked. */
class FakeLibrary {
  readonly calls: string[] = [];
  /** Whether the service answers at all. */
  isSilent = false;
  /** What the next call of an entry fails with. */
  failure: Error | undefined;
  value: string | null = null;

  get library(): KeychainLibrary {
    // deno-lint-ignore no-this-alias
    const fake = this;
    class AsyncEntry {
      constructor(service: string, account: string, options: unknown) {
        fake.calls.push(`connect ${service} ${account} ${JSON.stringify(options)}`);
      }
      getPassword() {
        return fake.answer("get", fake.value);
      }
      setPassword(value: string) {
        fake.value = value;
        return fake.answer("set", undefined);
      }
      deleteCredential() {
        return fake.answer("delete", true);
      }
    }
    const findCredentialsAsync = (service: string) =>
      fake.answer(`find ${service}`, [{ account: KEY, password: "stored" }]);
    return { AsyncEntry, findCredentialsAsync } as unknown as KeychainLibrary;
  }

  answer<T>(call: string, value: T): Promise<T> {
    this.calls.push(call);
    if (this.isSilent) return new Promise(() => {});
    const { failure } = this;
    if (failure === undefined || call.startsWith("find")) return Promise.resolve(value);
    this.failure = undefined;
    return Promise.reject(failure);
  }
}

const ENTRY = `connect test ${KEY} {"linux":{"store":"secret-service"}}`;
function open({ timeoutMs = 1000, isLinux = true } = {}) {
  const fake = new FakeLibrary();
  const client = nativeKeychainClient(fake.library, "test", timeoutMs, isLinux);
  return { fake, client };
}

Deno.test("a connection is made after a look whether anybody answers", async () => {
  const { fake, client } = open();
  assertEquals(await client.get(KEY), undefined);
  assertEquals(fake.calls, ["find test (none)", ENTRY, "get"]);
  await client.set(KEY, "value");
  assertEquals(await client.get(KEY), "value");
  await client.delete(KEY);
  assertEquals(await client.find(), new Map([[KEY, "stored"]]));
});

Deno.test("only on Linux there is something to look for", async () => {
  const { fake, client } = open({ isLinux: false });
  await client.get(KEY);
  assertEquals(fake.calls, [ENTRY, "get"]);
});

Deno.test("a keychain that does not answer is given up in time, before a connection is made", async () => {
  const { fake, client } = open({ timeoutMs: 20 });
  fake.isSilent = true;
  for (const call of [() => client.get(KEY), () => client.set(KEY, SECRETS.access)]) {
    await rejectsWith("backend_timeout", call, "20 ms", "Deno.exit()");
  }
  await rejectsWith("backend_timeout", () => client.find());
  assert(!fake.calls.includes(ENTRY));
  fake.isSilent = false;
  await client.get(KEY);
  fake.isSilent = true;
  await rejectsWith("backend_timeout", () => client.get(KEY), "20 ms");
});

Deno.test("any time limit that is a number of milliseconds is taken", async () => {
  for (const timeoutMs of [Infinity, 2 ** 40, 1000.5]) {
    const { client } = open({ timeoutMs });
    await client.set("a", "1");
    assertEquals(await client.get("a"), "1");
  }
});

Deno.test("an error that may quote what was stored is told by its name only", async () => {
  const { fake, client } = open();
  for (const text of [SECRETS.access, `oops\nPlatform failure: ${SECRETS.access}`]) {
    fake.failure = new RangeError(text);
    await rejectsWith("backend_unavailable", () => client.set(KEY, SECRETS.access), "RangeError");
  }
  await client.set(KEY, SECRETS.refresh);
  assertNoSecret(client);
});

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
    "disconnected from message bus",
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
  assertEquals(keychainError("read", "test", 5).code, "backend_timeout");
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
