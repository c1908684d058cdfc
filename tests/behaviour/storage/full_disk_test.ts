/** A sign-out needs no space: on a file system that is full, or that has no inode left. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runMounted, whyNoMount } from "../../support/run_denied.ts";
import { sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";
import { writeProgram } from "../../support/write_program.ts";

const { folder } = sandbox();
const test = testWith({ whyNot: whyNoMount }, "full disk: ");
const FILES = new URL("../../../", import.meta.url);

/** Ways to make a file system full. */
const FULL: Record<string, { fill: string; kib: number; inodes: number }> = {
  "no space": {
    fill: `for (const size of [4096, 1]) {
      using file = Deno.openSync(at + "/fill", { append: true, create: true });
      try { for (;;) file.writeSync(new Uint8Array(size)); } catch { /* full */ }
    }`,
    kib: 900,
    inodes: 1000,
  },
  "no inode": {
    fill: `try {
      for (;;) Deno.writeTextFileSync(at + "/" + crypto.randomUUID(), "");
    } catch { /* full */ }`,
    kib: 2000,
    inodes: 40,
  },
};

/** The stores in files, by a folder of their own. */
const STORES: Record<string, string> = {
  file: `new FileCredentialsBackend({ path: folder + "/store" })`,
  "encrypted file": `new EncryptedCredentialsBackend({
    key,
    backend: new FileCredentialsBackend({ path: folder + "/store" }),
  })`,
  "fallback to a file": `new FallbackCredentialsBackend({
    backends: [new FileCredentialsBackend({ path: folder + "/store" })],
  })`,
  "Deno KV": `new KvCredentialsBackend({ path: folder + "/store" })`,
};

interface Seen {
  one: string | { code: string; message: string };
  left: string[];
  all: { wholeStore?: boolean };
  end: string[];
}

/** Signs out of one of two sign-ins, and then of all, in processes that begin on a full disk. */
async function signOut(store: string, { fill, kib, inodes }: typeof FULL[string]): Promise<Seen> {
  const at = folder();
  const code = `
    import { clearOidcCredentials, credentialKey, FileCredentialsBackend, KvCredentialsBackend }
      from "${FILES}mod.ts";
    import { EncryptedCredentialsBackend } from "${FILES}backends/encrypted.ts";
    import { FallbackCredentialsBackend } from "${FILES}backends/fallback.ts";
    const at = "${at}";
    const folder = at + "/own";
    const key = crypto.getRandomValues(new Uint8Array(32));
    const issuer = "https://login.example.com";
    const open = () => ${store};
    const before = open();
    for (const client_id of ["one", "two"]) {
      const entry = { issuer, client_id, access_token: "a", refresh_token: "x".repeat(2000) };
      await before.put(credentialKey(issuer, client_id), entry);
    }
    await before.close?.();
    const fill = () => {
      ${fill}
    };
    const names = () => Array.from(Deno.readDirSync(folder), ({ name }) => name)
      .filter((name) => !name.endsWith(".lock")).sort();
    const clear = async (options) => {
      fill();
      const credentialsBackend = open();
      try {
        return await clearOidcCredentials({ credentialsBackend, ...options });
      } catch ({ code, message }) {
        return { code, message };
      } finally {
        await credentialsBackend.close?.();
      }
    };
    const one = await clear({ issuer, clientId: "one" });
    const left = names();
    const all = await clear({ all: true });
    console.log(JSON.stringify({ one, left, all, end: names() }));
  `;
  return await runMounted(at, code, kib, inodes) as Seen;
}

for (const [how, full] of Object.entries(FULL)) {
  for (const [name, store] of Object.entries(STORES)) {
    test(`${name}, ${how}: a sign-out of one says what to remove by hand, and one of all removes it`, async () => {
      const { one, left, all, end } = await signOut(store, full);
      assert(typeof one === "object" && "code" in one, JSON.stringify(one));
      assertEquals(one.code, "backend_full");
      assertStringIncludes(one.message, "by hand");
      assertStringIncludes(one.message, "/own/store");
      assertEquals(left.includes("store"), true);
      assertEquals([all.wholeStore, end], [true, []]);
    });
  }
}

/** A helper of docker's form for one account, which it keeps beside itself. */
const HELPER = `#!/bin/sh
account="\${0%/*}/account"
input=$(cat)
case "$1" in
  get) cat "$account" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
  store) printf %s "$input" >"$account" ;;
  erase) rm -f "$account" ;;
esac
`;

for (const [how, { fill, kib, inodes }] of Object.entries(FULL)) {
  test(`helper, ${how} for its locks and marks: a sign-out removes the entry`, async () => {
    const [at, elsewhere] = [folder(), folder()];
    writeProgram(`${elsewhere}/helper`, HELPER);
    const code = `
      import { clearOidcCredentials, credentialKey } from "${FILES}mod.ts";
      import { HelperCredentialsBackend } from "${FILES}backends/helper.ts";
      const at = "${at}";
      const [issuer, clientId] = ["https://login.example.com", "one"];
      const key = credentialKey(issuer, clientId);
      const options = { program: "${elsewhere}/helper", lockFolder: at + "/locks" };
      const credentialsBackend = new HelperCredentialsBackend(options);
      ${fill}
      await credentialsBackend.put(key, { issuer, client_id: clientId, access_token: "a" });
      const { keys } = await clearOidcCredentials({ issuer, clientId, credentialsBackend });
      console.log(JSON.stringify([keys.length, await credentialsBackend.get(key) ?? "gone"]));
    `;
    assertEquals(await runMounted(at, code, kib, inodes), [1, "gone"]);
  });
}
