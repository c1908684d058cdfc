/** Files that a neighbour has planted where the credentials file is expected. */
import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { backendUrl } from "../support/child.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { OTHER_UID, runAsOther, whyNoOtherUser } from "../support/run_denied.ts";
import { isPosix, namesIn, sandbox } from "../support/sandbox.ts";

const { folder, root, permissions } = sandbox();
const TEXT = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } });

/** The name of a test that this machine may not be able to run, with the reason. */
function twoUsers(name: string): { name: string; ignore: boolean } {
  const why = whyNoOtherUser;
  return { name: why ? `${name} (ignored: ${why})` : name, ignore: why !== undefined };
}

/** A folder that the other user can write, too. */
function sharedFolder(): string {
  const parent = folder();
  Deno.chmodSync(root, 0o755);
  Deno.chmodSync(parent, 0o777);
  return parent;
}

/** Does something with the file at `path` as the other user; gives the outcome. */
async function asOther(path: string, call: string, flags: string[]): Promise<string> {
  return await runAsOther(
    `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const backend = new FileCredentialsBackend({ path: "${path}" });
    const entry = ${JSON.stringify(entry())};
    try {
      const value = await backend.${call};
      console.log(JSON.stringify(value?.client_id ?? "done"));
    } catch (error) {
      console.log(JSON.stringify(error.code + " " + error.message.split(": ")[1].split(". ")[0]));
    }
  `,
    flags,
  ) as string;
}

const FOREIGN = "backend_denied it belongs to another user (uid 12345)";

for (const flags of [["-A"], ["--allow-read", "--allow-write"], ["--allow-read"]]) {
  Deno.test({
    ...twoUsers(`a file of another user is not used, under ${flags}`),
    async fn() {
      const parent = sharedFolder();
      const path = `${parent}/credentials.json`;
      const isReader = flags.length === 1 && flags[0] !== "-A";
      const calls = [`get("${KEY}")`, ...isReader ? [] : [`put("${KEY}", entry)`, `deleteAll()`]];
      Deno.writeTextFileSync(path, TEXT);
      Deno.chmodSync(path, 0o644);
      Deno.chownSync(path, 12345, 12345);
      for (const call of calls) assertEquals(await asOther(path, call, flags), FOREIGN, call);
      assertEquals(Deno.readTextFileSync(path), TEXT);
      Deno.chownSync(path, OTHER_UID, OTHER_UID); // the same file, but the user's own
      Deno.chmodSync(path, 0o600);
      assertEquals(await asOther(path, calls[0]!, flags), "my-app");
      Deno.chownSync(path, 0, 0); // a provisioned file of the superuser's
      Deno.chmodSync(path, 0o644);
      assertEquals(await asOther(path, calls[0]!, flags), "my-app");
      assert(!namesIn(parent).some((name) => name.endsWith(".owner")));
    },
  });

  Deno.test({
    ...twoUsers(`a link of another user is not followed, under ${flags}`),
    async fn() {
      const parent = sharedFolder();
      const [path, target] = [`${parent}/credentials.json`, `${parent}/target.json`];
      Deno.writeTextFileSync(target, TEXT, { mode: 0o600 });
      Deno.chownSync(target, OTHER_UID, OTHER_UID);
      Deno.symlinkSync(target, path);
      for (const uid of [OTHER_UID, 12345]) {
        const args = ["-h", `${uid}:${uid}`, path];
        assert(new Deno.Command("chown", { args }).outputSync().success);
        const expected = uid === OTHER_UID ? "my-app" : FOREIGN;
        assertEquals(await asOther(path, `get("${KEY}")`, flags), expected);
        if (uid === OTHER_UID || flags.join() === "--allow-read") continue;
        assertEquals(await asOther(path, `put("${KEY}", entry)`, flags), FOREIGN);
        assertEquals(await asOther(path, `deleteAll()`, flags), FOREIGN);
      }
      assertEquals(Deno.readTextFileSync(target), TEXT);
    },
  });
}

Deno.test({
  name: "an own file that is open to others is used where the owner can be told, and refused else",
  permissions: { read: permissions.read, write: permissions.write },
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    Deno.writeTextFileSync(path, TEXT, { mode: 0o644 });
    assertEquals(new FileCredentialsBackend({ path }).get(KEY), entry());
    assertEquals(namesIn(parent), ["credentials.json"]);
    await new FileCredentialsBackend({ path }).put(KEY, entry());
  },
});

Deno.test({
  name: "a named pipe or a device in the file's place, or behind a link there, is refused at once",
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    const backend = new FileCredentialsBackend({ path });
    const accesses = [
      () => backend.get(KEY),
      () => Array.fromAsync(backend.list()),
      () => backend.put(KEY, entry()),
      () => backend.delete(KEY),
      () => backend.deleteAll(),
    ];
    const check = async (words: string) => {
      for (const access of accesses) await rejectsWith("backend_denied", access, words);
    };
    assert(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
    await check("it is a named pipe");
    Deno.renameSync(path, `${parent}/pipe`);
    Deno.symlinkSync("pipe", path);
    await check("it is a named pipe");
    Deno.removeSync(path);
    Deno.symlinkSync("/dev/zero", path);
    await check("it is a device");
  },
});

Deno.test({
  name: "a file that is exchanged for a link between the look and the opening is not read",
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    Deno.writeTextFileSync(path, TEXT, { mode: 0o600 });
    const { openSync } = Deno;
    Deno.openSync = (name, options) => {
      Deno.openSync = openSync;
      Deno.removeSync(path);
      Deno.symlinkSync("/dev/zero", path);
      return openSync(name, options);
    };
    const backend = new FileCredentialsBackend({ path });
    try {
      await rejectsWith("backend_denied", () => backend.get(KEY), "it is a device");
    } finally {
      Deno.openSync = openSync;
    }
  },
});
