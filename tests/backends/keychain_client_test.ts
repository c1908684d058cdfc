import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  type KeychainLibrary,
  NativeKeychainClient,
  openKeychainLibrary,
} from "../../backends/keychain_client.ts";
import { libraryPath } from "../../backends/keychain_library.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { runDeno } from "../support/run_script.ts";
import { backendUrl } from "./child.ts";
import { ALL_SECRETS, KEY, SECRETS } from "./entries.ts";
import { rejectsWith } from "./rejects_with.ts";

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
const DROPPED = "Platform failure: DBus error: The session does not exist";
const LOCKED = "Couldn't access platform storage: Secret Service: object locked";

function open({ timeoutMs = 1000, isLinux = true } = {}) {
  const fake = new FakeLibrary();
  const client = new NativeKeychainClient(fake.library, "test", timeoutMs, isLinux);
  return { fake, client };
}

Deno.test("a connection is made after a look whether anybody answers, and used again", async () => {
  const { fake, client } = open();
  assertEquals(await client.get(KEY), undefined);
  await client.set(KEY, "value");
  assertEquals(await client.get(KEY), "value");
  await client.delete(KEY);
  assertEquals(fake.calls, ["find test (none)", ENTRY, "get", "set", "get", "delete"]);
  assertEquals(await client.find(), new Map([[KEY, "stored"]]));
  client.close();
  await client.get(KEY);
  assertEquals(fake.calls.slice(-3), ["find test (none)", ENTRY, "get"]);
});

Deno.test("only on Linux there is something to look for", async () => {
  const { fake, client } = open({ isLinux: false });
  await client.get(KEY);
  assertEquals(fake.calls, [ENTRY, "get"]);
});

Deno.test("a kept connection that the service does not know any more is made anew", async () => {
  const { fake, client } = open();
  const connection = await client.set(KEY, "value");
  fake.failure = new Error(DROPPED);
  assertEquals(await client.get(KEY), "value");
  assertEquals(fake.calls.slice(2), ["set", "get", "find test (none)", ENTRY, "get"]);
  const other = await client.set(KEY, "value");
  assertNotStrictEquals(other, connection);
  assertStrictEquals(await client.set(KEY, "value"), other);
});

Deno.test("a new connection that fails is not tried again, nor is any that is locked", async () => {
  const { fake, client } = open();
  fake.failure = new Error(DROPPED);
  await rejectsWith("backend_unavailable", () => client.get(KEY), "session does not exist");
  await client.get(KEY);
  fake.calls.length = 0;
  fake.failure = new Error(LOCKED);
  await rejectsWith("keychain_locked", () => client.get(KEY));
  assertEquals(fake.calls, ["get"]);
});

Deno.test("at most eight connections are kept", async () => {
  const { fake, client } = open({ isLinux: false });
  for (let index = 0; index < 9; index++) await client.get(`${index}`);
  fake.calls.length = 0;
  await client.get("1");
  assertEquals(fake.calls, ["get"]);
  await client.get("0");
  assert(fake.calls[1]!.startsWith("connect test 0 "), fake.calls[1]);
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

Deno.test("an error that may quote what was stored is told by its name only", async () => {
  const { fake, client } = open();
  for (const text of [SECRETS.access, `oops\nPlatform failure: ${SECRETS.access}`]) {
    fake.failure = new RangeError(text);
    await rejectsWith("backend_unavailable", () => client.set(KEY, SECRETS.access), "RangeError");
  }
  await client.set(KEY, SECRETS.refresh);
  assertNoSecret(client, ALL_SECRETS);
});

Deno.test("the library does not load without its one permission, and does with it", async () => {
  const code = `
    import { openKeychainLibrary } from "${backendUrl("keychain_client.ts")}";
    import { libraryPath } from "${backendUrl("keychain_library.ts")}";
    try {
      console.log(typeof openKeychainLibrary(libraryPath).AsyncEntry);
    } catch (error) {
      console.log(error.code, error.message);
    }
  `;
  const denied = await runDeno({ code });
  assertStringIncludes(denied.stdout, "permission_required Cannot use the OS keychain");
  assertStringIncludes(denied.stdout, `--allow-ffi=${libraryPath}`);
  const allowed = await runDeno({ code, flags: [`--allow-ffi=${libraryPath}`] });
  assertEquals(allowed.stdout, "function\n", allowed.stderr);
});

Deno.test("no library, and one that is none, are errors that say so", async () => {
  await rejectsWith("backend_unavailable", () => {
    openKeychainLibrary(import.meta.filename);
  }, "does not load");
  await rejectsWith("backend_unavailable", () => {
    openKeychainLibrary(undefined);
  }, Deno.build.target);
});
