import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { FileReader } from "../../backends/file_reader.ts";
import { entry } from "./entries.ts";
import { sandbox } from "./sandbox.ts";

const { folder, permissions } = sandbox();
const OLD = new Date("2020-01-01T00:00:00Z");
const isWindows = Deno.build.os === "windows";

/** A file of more than 64 KiB, with a time that a change cannot have. */
function largeFile(path: string, token = "a"): void {
  const credentials = { k: entry({ access_token: token.repeat(70_000) }) };
  Deno.writeTextFileSync(path, JSON.stringify({ version: 1, credentials }), { mode: 0o600 });
  Deno.utimeSync(path, OLD, OLD);
}

Deno.test({
  name: "FileReader parses a large file once for as long as it is the same",
  permissions,
  ignore: isWindows,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const reader = new FileReader(path);
    const first = reader.read();
    assertStrictEquals(reader.read(), first);
    assertEquals(reader.isKept, true);
  },
});

Deno.test({
  name: "FileReader reads again what was replaced, changed in place, or removed",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const reader = new FileReader(path);
    const first = reader.read();
    largeFile(`${path}.new`, "b"); // of the same size and age
    Deno.renameSync(`${path}.new`, path);
    const second = reader.read();
    assertNotStrictEquals(second, first);
    Deno.writeTextFileSync(path, `{ "version": 1, "credentials": {} }`);
    assertEquals(reader.read()?.credentials, {});
    largeFile(path);
    reader.read();
    Deno.removeSync(path);
    assertEquals(reader.read(), undefined);
  },
});

Deno.test({
  name:
    "FileReader does not keep what may still change within one tick of the clock, nor a small file",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    Deno.utimeSync(path, new Date(), new Date());
    const reader = new FileReader(path);
    assertNotStrictEquals(reader.read(), reader.read());
    Deno.writeTextFileSync(path, `{ "version": 1, "credentials": {} }`);
    Deno.utimeSync(path, OLD, OLD);
    assertNotStrictEquals(reader.read(), reader.read());
    assertEquals(reader.isKept, false);
  },
});

Deno.test({
  name: "an entry of a kept file is the caller's own: to change it changes nothing",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const backend = new FileCredentialsBackend({ path });
    backend.get("k")!.access_token = "changed";
    assertEquals(backend.get("k")!.access_token.length, 70_000);
  },
});
