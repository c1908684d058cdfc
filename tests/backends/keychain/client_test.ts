import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { keychainError, nativeKeychainClient } from "../../../backends/keychain/client.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { KEY, SECRETS } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { ScriptedLibrary } from "./scripted_library.ts";

const ENTRY = `connect test ${KEY} {"linux":{"store":"secret-service"}}`;
function open({ timeoutMs = 1000, isLinux = true } = {}) {
  const fake = new ScriptedLibrary();
  const client = nativeKeychainClient(fake.library, "test", timeoutMs, isLinux);
  return { fake, client };
}

Deno.test("a connection is made after a look whether anybody answers, on Linux alone", async () => {
  const { fake, client } = open();
  assertEquals(await client.get(KEY), undefined);
  assertEquals(fake.calls, ["find test (none)", ENTRY, "get"]);
  await client.set(KEY, "value");
  assertEquals(await client.get(KEY), "value");
  assertEquals(await client.find(), new Map([[KEY, "value"]]));
  const elsewhere = open({ isLinux: false });
  await elsewhere.client.get(KEY);
  assertEquals(elsewhere.fake.calls, [ENTRY, "get"]);
});

Deno.test("each call ends as the library's does, and not before", async () => {
  const { fake, client } = open();
  const calls: Record<string, () => Promise<unknown>> = {
    read: () => client.get(KEY),
    write: () => client.set(KEY, "x"),
    delete: () => client.delete(KEY),
    list: () => client.find(),
  };
  for (const [verb, call] of Object.entries(calls)) {
    fake.failures = [new Error("Platform failure: Access is denied")];
    await rejectsWith("backend_denied", call, `Cannot ${verb} credentials in`);
    const done = Promise.withResolvers<void>();
    fake.until = done.promise;
    let isOver = false;
    const running = call().then(() => isOver = true);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(isOver, false);
    done.resolve();
    await running;
    fake.until = undefined;
  }
});

Deno.test("a call beside the removal of an item by another process is repeated, some times", async () => {
  const { fake, client } = open();
  fake.of("test").set(KEY, "value");
  const words = [
    "zbus fdo error: org.freedesktop.DBus.Error.UnknownMethod: No such interface “x” on object at y",
    "zbus error: org.freedesktop.DBus.Error.UnknownMethod: Object does not exist at path “/login/2”",
    "Platform failure: DBus error: No such interface “org.freedesktop.Secret.Item” on object at z",
    "Platform failure: DBus error: No such object path '/org/freedesktop/secrets/aliases/default/1'",
  ].map((text) => new Error(text));
  for (const failure of words) {
    fake.failures = [failure];
    assertEquals(await client.get(KEY), "value");
    fake.failures = [failure, failure];
    assertEquals(await client.find(), new Map([[KEY, "value"]]));
  }
  fake.failures = Array(9).fill(words[0]);
  await rejectsWith("backend_unavailable", () => client.find(), "No such interface");
});

Deno.test("a keychain that does not answer is given up in time, before a connection is made", async () => {
  const { fake, client } = open({ timeoutMs: 20 });
  fake.until = new Promise(() => {});
  for (const call of [() => client.get(KEY), () => client.set(KEY, SECRETS.access)]) {
    await rejectsWith("backend_timeout", call, "20 ms", "Deno.exit()");
  }
  await rejectsWith("backend_timeout", () => client.find());
  assert(!fake.calls.includes(ENTRY));
  fake.until = undefined;
  for (const timeoutMs of [Infinity, 2 ** 40, 1000.5]) {
    const { client } = open({ timeoutMs });
    await client.set("a", "1");
    assertEquals(await client.get("a"), "1");
  }
});

Deno.test("an error that may quote what was stored is told by its name only", async () => {
  const { fake, client } = open();
  for (const text of [SECRETS.access, `oops\nPlatform failure: ${SECRETS.access}`]) {
    fake.failures = [new RangeError(text)];
    await rejectsWith("backend_unavailable", () => client.set(KEY, SECRETS.access), "RangeError");
  }
  assertNoSecret(client);
});

const STORAGE = "Couldn't access platform storage";
const DBUS = "Platform failure: DBus error: Using X11";
const [LOCKED, AWAY, DENIED] = ["keychain_locked", "backend_unavailable", "backend_denied"];
const SESSION = "dbus-run-session -- bash -c 'gnome-keyring-daemon --unlock --components=secrets <";

/** The words of the libraries, as seen on Linux and as their sources have them for the others. */
const CASES: [os: string, text: string, code: string, advice: string][] = [
  ["linux", `${STORAGE}: Secret Service: unlock prompt was dismissed`, LOCKED, SESSION],
  ["linux", "zbus error: org.freedesktop.Secret.Error.IsLocked: Cannot get", LOCKED, "seahorse"],
  ["linux", `${STORAGE}: Secret Service: no result found`, AWAY, SESSION],
  ["linux", `${DBUS}, set your DBUS_SESSION_BUS_ADDRESS instead`, AWAY, "dbus-run-session"],
  ["linux", "no secret service provider or dbus session found", AWAY, "no such service"],
  ["linux", "zbus error: Failed to connect to address `unix:path=/run`", AWAY, "dbus-run-session"],
  ["linux", `${DBUS} recipient disconnected from message bus`, AWAY, "disconnected from message"],
  ["linux", `${DBUS} Did not receive a reply. Possible causes`, "backend_timeout", "hangs"],
  ["linux", "zbus error: org.freedesktop.DBus.Error.AccessDenied: Rejected", DENIED, "Allow this"],
  ["darwin", "Platform failure: User interaction is not allowed.", LOCKED, "unlock-keychain"],
  ["darwin", "Platform failure: The user name or passphrase you entered", DENIED, "Allow this"],
  ["darwin", "Platform failure: User canceled the operation.", DENIED, "Allow this"],
  ["darwin", `${STORAGE}: The specified keychain could not be found.`, AWAY, "own session"],
  ["windows", `${STORAGE}: A specified logon session does not exist.`, AWAY, "own session"],
  ["windows", "Platform failure: Access is denied.", DENIED, "Allow this program"],
  ["windows", "Value of 'user' is longer than the platform limit", "backend_too_large", "another"],
  ["linux", "Platform failure: Something else.", AWAY, ": Something else. Run this"],
];

for (const [os, text, code, advice] of CASES) {
  Deno.test(`keychain errors: ${os}: ${text.slice(0, 70)}`, async () => {
    const error = await rejectsWith(
      code as CredentialsBackendError["code"],
      () => {
        throw keychainError("read credentials in", "test", new Error(text));
      },
      `Cannot read credentials in "test" in the`,
      advice,
    );
    assert(!("cause" in error));
  });
}

Deno.test("words that a service on the bus chose bring no escape sequences to a terminal", () => {
  const words = "zbus error: org.evil.Name: \u001b]0;owned\u0007\u001b[2J\u202eend";
  const { message } = keychainError("read credentials in", "s", new Error(words));
  assertStringIncludes(message, "org.evil.Name:");
  // deno-lint-ignore no-control-regex
  assertEquals(/[\u0000-\u001f\u007f-\u009f\u202e]/.test(message), false);
});
