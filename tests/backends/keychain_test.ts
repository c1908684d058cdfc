import { normalize } from "@std/path";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import {
  keychainLimits,
  KEYRING_VERSION,
  libraryPath,
  locateLibrary,
  openKeychainLibrary,
} from "../../backends/keychain/client.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  Crash,
  keychainBackend,
  MemoryKeychain,
  windowsKeychain,
} from "./keychain/memory_keychain.ts";
import { ScriptedLibrary } from "./keychain/scripted_library.ts";
import { callsOf } from "./stores.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { withEnv } from "../support/own_env.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { isPosix, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";

const { folder } = sandbox();

const test = Object.assign(testWith({ ignore: !isPosix }), {
  denied: testWith({ permissions: "none" }),
});

test("a keychain declares its library's path, its lock folder, and the home only without one", async () => {
  const ffi = { name: "ffi", path: libraryPath } as const;
  const locks = (path: string) => [
    { name: "read", path, need: "sign_in" } as const,
    { name: "write", path, need: "sign_in" } as const,
  ];
  await withEnv({ HOME: "/home/ada" }, () => {
    const needs = new KeychainCredentialsBackend().requiredPermissions();
    const home = { name: "env", variable: "HOME" } as const;
    assertEquals(needs, [ffi, ...locks("/home/ada/.validmind"), home]);
  });
  const given = new KeychainCredentialsBackend({ lockFolder: "/locks", service: "my-service" });
  const other = new KeychainCredentialsBackend({ lockFolder: "/others" });
  assertEquals([given.storeId, other.storeId], ["keychain my-service", "keychain validmind-auth"]);
  const seen = [given.persistent, given.requiredPermissions()];
  assertEquals(seen, [true, [ffi, ...locks("/locks")]]);
  assertStringIncludes(given.location, '"my-service" in the ');
});

test.denied("without permission nothing is touched, and the flag is named", async () => {
  const backend = new KeychainCredentialsBackend({ lockFolder: "/nowhere/locks" });
  const [lock, ...runs] = callsOf(backend).toReversed();
  runs.push(() => backend.deleteAll());
  const words = ["Cannot use the OS keychain", `--allow-ffi=${libraryPath}`];
  for (const run of runs) await rejectsWith("permission_required", run, ...words);
  await rejectsWith("permission_required", lock!, `--allow-write=${normalize("/nowhere/locks")}`);
});

Deno.test("the library is of the release that deno.json names, and loads", async () => {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  assertEquals(imports["@napi-rs/keyring"], `npm:@napi-rs/keyring@${KEYRING_VERSION}`);
  assert((await Deno.stat(libraryPath!)).size > 100_000);
  assertEquals(typeof openKeychainLibrary(libraryPath).AsyncEntry, "function");
});

Deno.test("no library, and one that is none, are errors that say so", async () => {
  assertEquals(await locateLibrary("sparc-sun-solaris"), undefined); // no error yet
  const none = () => openKeychainLibrary(import.meta.filename);
  await rejectsWith("backend_unavailable", none, "does not load");
  await rejectsWith("backend_unavailable", () => openKeychainLibrary(undefined), Deno.build.target);
});

Deno.test("each service has its own entries, under its keys, and writes wait in time", async () => {
  const scripted = new ScriptedLibrary();
  using _ = scripted.load();
  const lockFolder = folder();
  const open = (options = {}) => new KeychainCredentialsBackend({ lockFolder, ...options });
  await open().put(KEY, entry({ name: "Ada Größe 🔑" }));
  const text = scripted.of("validmind-auth").get(KEY)!;
  assertEquals(JSON.parse(text), entry({ name: "Ada Größe 🔑" }));
  assert(/^[\x20-\x7e]+$/.test(text), "a character takes more than one byte");
  const team = open({ service: "team", lockTimeoutMs: 10, timeoutMs: 20 });
  assertEquals([await team.get(KEY), await Array.fromAsync(team.list())], [undefined, []]);
  await team.withLock(KEY, async () => {
    const lock = () => team.withLock(KEY, () => Promise.resolve());
    await rejectsWith("backend_locked", lock, "10 ms");
  });
  scripted.until = new Promise(() => {});
  await rejectsWith("backend_timeout", () => team.get(KEY), '"team"', "20 ms");
});

function open(limits = keychainLimits("linux"), client = new MemoryKeychain(limits)) {
  return { client, store: keychainBackend(client) };
}

const openWindows = () => open(undefined, windowsKeychain());

/** An entry whose JSON takes about `chars` characters, all of them its own. */
function large(name: string, chars: number): OidcCredentials {
  return entry({ client_id: name, x_fill: name.repeat(Math.ceil(chars / name.length)) });
}

/** The account of a key's entry. */
async function accountOf(key: string, os: typeof Deno.build.os): Promise<string | undefined> {
  const { client, store } = open(keychainLimits(os));
  await store.put(key, small(key));
  assertEquals(await Array.fromAsync(store.list()), [key]);
  return [...client.values.keys()][0];
}

Deno.test("a key is its own account, but for what a keychain loses", async () => {
  const linux = { [KEY]: KEY, "größe|日本🔑": "größe|日本🔑" };
  const odd = { "a%b#c\nd\u0000\ud800": "a%25;b%23;c%a;d%0;%d800;" };
  for (const [key, account] of Object.entries({ ...linux, ...odd })) {
    assertEquals(await accountOf(key, "linux"), account);
  }
  assertEquals(await accountOf(OTHER, "darwin"), OTHER);
  assertEquals(await accountOf("aBc|ß", "windows"), "a%42;c|%df;"); // where case is ignored
});

/** Any code points, half characters too. Not `fc.string`, which takes a second to list them all. */
const anyText = fc.array(fc.oneof(fc.nat(0x10ffff), fc.nat(0x24f)))
  .map((points) => String.fromCodePoint(...points));

Deno.test("an account leads back to its key, and no two keys have one account", async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (key) => {
      await accountOf(key, "linux");
      const keys = [...new Set([key, key.toUpperCase(), key.toLowerCase()])];
      const accounts = await Promise.all(keys.map((key) => accountOf(key, "windows")));
      const seen = new Set(accounts.map((account) => account!.toUpperCase()));
      assertEquals(seen.size, keys.length);
    }),
    { numRuns: 50, examples: [["__proto__"], ["constructor"]] },
  );
});

Deno.test("an account that no key has, which another program made, is no key and no error", async () => {
  const { client, store } = open();
  for (const account of ["%110000;", "%ffffffff;", "%41;", "%zz;", "a%", "a#b", "a\nb"]) {
    client.values.set(account, "theirs");
  }
  assertEquals(await Array.fromAsync(store.list()), []);
  const windows = openWindows();
  windows.client.values.set("https://login.example.com|App", "theirs");
  assertEquals(await Array.fromAsync(windows.store.list()), []);
});

const WRITES: [name: string, before: OidcCredentials | undefined, after: OidcCredentials][] = [
  ["a first long entry", undefined, large("new", 5000)],
  ["a long entry over a long one", large("old", 7000), large("new", 5000)],
  ["a short entry over a long one", large("old", 7000), small("new")],
  ["a long entry over a short one", small("old"), large("new", 5000)],
];

for (const [name, before, after] of WRITES) {
  Deno.test(`a crash at any step of ${name} leaves the old entry or the new one`, async () => {
    const seen = new Set<string>();
    for (let steps = 0;; steps++) {
      const { client, store } = openWindows();
      if (before !== undefined) await store.put(KEY, before);
      await store.put(OTHER, large("other", 3000));
      client.changesLeft = steps;
      const crash = await store.put(KEY, after).then(() => undefined, (error) => error);
      client.changesLeft = Infinity;
      const stored = await store.get(KEY);
      const isNew = stored?.client_id === after.client_id;
      assertEquals(stored, isNew ? after : before, `after ${steps} steps`);
      seen.add(isNew ? "new" : "old");
      assertEquals(await store.get(OTHER), large("other", 3000));
      if (crash === undefined) break;
      assertInstanceOf(crash, Crash);

      await store.put(KEY, small("next"));
      await store.delete(OTHER);
      assertEquals(client.values.size, 1, `the next write left something of ${steps} steps`);
    }
    assertEquals(seen, new Set(["old", "new"]));
  });
}

Deno.test("a crash at any step of a deletion leaves the whole entry or none", async () => {
  for (let steps = 0;; steps++) {
    const { client, store } = openWindows();
    await store.put(KEY, large("old", 7000));
    client.changesLeft = steps;
    const crash = await store.delete(KEY).then(() => undefined, (error) => error);
    client.changesLeft = Infinity;
    assertEquals(await store.get(KEY), steps === 0 ? large("old", 7000) : undefined);
    assertEquals(await Array.fromAsync(store.list()), steps === 0 ? [KEY] : []);
    await store.delete(KEY);
    assertEquals(client.values.size, 0);
    if (crash === undefined) break;
  }
});

Deno.test("a reader that a write overtakes gets the new entry", async () => {
  const { client, store } = openWindows();
  await store.put(KEY, large("old", 7000));
  let isOvertaken = false;
  const other = keychainBackend(client);
  const reading = windowsKeychain();
  reading.get = async (account) => {
    const value = await client.get(account);
    if (!isOvertaken) {
      isOvertaken = true; // between the head and its first chunk
      await other.put(KEY, large("new", 5000));
    }
    return value;
  };
  const reader = keychainBackend(reading);
  assertEquals(await reader.get(KEY), large("new", 5000));
});

Deno.test("a keychain entry that others keep writing is busy, not corrupt", async () => {
  const { client, store } = openWindows();
  let generation = 100_000_000_000;
  client.get = (account) =>
    Promise.resolve(
      account.includes("#") ? undefined : `validmind-auth chunks v1 ${generation++} 2`,
    );
  await rejectsWith("backend_locked", () => store.get(KEY), KEY);
});

Deno.test("a keychain entry that was cut, changed or emptied is corrupt, never absent", async () => {
  const damages: ((values: Map<string, string>, chunk: string) => void)[] = [
    (values, chunk) => values.delete(chunk),
    (values) => values.set(KEY, values.get(KEY)!.replace(/ \d+$/, " 1")),
    (values) => values.set(KEY, "not JSON"),
    (values) => values.set(KEY, "[]"),
    (values) => values.set(KEY, "null"),
    (values) => values.set(KEY, ""),
  ];
  for (const damage of damages) {
    const { client, store } = open({ ...keychainLimits("linux"), valueChars: 100 });
    await store.put(KEY, entry());
    const chunk = [...client.values.keys()].find((account) => account.endsWith(".1"))!;
    damage(client.values, chunk);
    const before = new Map(client.values);
    await rejectsWith("backend_corrupt", () => store.get(KEY), KEY, "clearOidcCredentials({");
    assertEquals(client.values, before);
    await store.delete(KEY);
    assertEquals(client.values.size, 0);
  }
});

Deno.test("a keychain's entries go without a look at them", async () => {
  const { client, store } = openWindows();
  await store.put(KEY, large("old", 7000));
  assertEquals(client.values.size, 7); // each chunk is as long as Windows allows
  client.values.set(OTHER, "not JSON");
  client.changes.length = 0;
  await store.deleteAll();
  assertEquals(client.values.size, 0);
  const isHead = client.changes.map((change) => !change.includes("#"));
  assertEquals(isHead.slice(0, 2), [true, true], "a chunk went before the heads");
});

Deno.test("chunks that another release left on a wide keychain go at the first write", async () => {
  const { client, store: cutting } = open({ ...keychainLimits("linux"), valueChars: 100 });
  await cutting.put(KEY, large("old", 1000));
  await cutting.put(OTHER, large("other", 1000));
  client.values.set(`${KEY}#0123456789ab.0`, "what a crash left");
  const store = keychainBackend(Object.assign(client, { limits: keychainLimits("linux") }));
  assertEquals(await store.get(KEY), large("old", 1000));
  await store.put(KEY, small("new"));
  assertEquals([...client.values.keys()].filter((account) => account.startsWith(KEY)), [KEY]);
  assertEquals(await store.get(OTHER), large("other", 1000));
  await store.delete(OTHER);
  assertEquals([...client.values.keys()], [KEY]);
});

Deno.test("a keychain that swallows a write, or a deletion, is found out", async () => {
  const { client, store } = open();
  client.set = () => Promise.resolve();
  for (let tries = 0; tries < 2; tries++) {
    await rejectsWith("backend_unproven", () => store.put(KEY, small("old")), "gives back");
  }
  client.values.set(KEY, JSON.stringify(small("old")));
  await store.put(KEY, small("old"));
  await rejectsWith("backend_unproven", () => store.put(KEY, entry()));
  client.delete = () => Promise.resolve();
  await rejectsWith("backend_denied", () => store.delete(KEY));
  await rejectsWith("backend_denied", () => store.deleteAll());
});

Deno.test("a keychain's trouble stays what it is", async () => {
  const { client, store } = open();
  client.get = () => Promise.reject(new Crash());
  await assertRejects(() => store.get(KEY), Crash);
});
