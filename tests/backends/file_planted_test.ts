/** Files that a neighbour has planted where the credentials file is expected. */
import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { isPosix, makePipe, namesIn, sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const TEXT = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } });

Deno.test(
  "an own file that is open to others is used where the owner can be told, and refused else",
  { permissions: { read: permissions.read, write: permissions.write }, ignore: !isPosix },
  async () => {
    const parent = folder();
    const path = `${parent}/credentials.json`;
    Deno.writeTextFileSync(path, TEXT, { mode: 0o644 });
    assertEquals(new FileCredentialsBackend({ path }).get(KEY), entry());
    assertEquals(namesIn(parent), ["credentials.json"]);
    await new FileCredentialsBackend({ path }).put(KEY, entry());
  },
);

Deno.test(
  "a named pipe or a device in the file's place, or behind a link there, is refused at once",
  { ignore: !isPosix },
  async () => {
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
    await makePipe(path);
    await check("it is a named pipe");
    Deno.renameSync(path, `${parent}/pipe`);
    Deno.symlinkSync("pipe", path);
    await check("it is a named pipe");
    Deno.removeSync(path);
    Deno.symlinkSync("/dev/zero", path);
    await check("it is a device");
  },
);

Deno.test("a file that is exchanged for a link between the look and the opening is not read", {
  ignore: !isPosix,
}, async () => {
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
});
