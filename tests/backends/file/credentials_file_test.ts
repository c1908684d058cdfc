import {
  assertEquals,
  assertNotEquals,
  assertNotStrictEquals,
  assertStrictEquals,
} from "@std/assert";
import {
  CredentialsFile,
  getEntry,
  parseDocument,
  readDocument,
} from "../../../backends/file/credentials_file.ts";
import { emptyDocument, serializeDocument } from "../../../backends/file/edit_document.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();
const PATH = "/home/ana maria/.validmind/credentials.json";
const OLD = new Date("2020-01-01T00:00:00Z");
const isWindows = Deno.build.os === "windows";

/** What stands in a file ("…": its beginning), and what is read of it. */
const READABLE: [text: string, expected: string][] = [
  ["…größe 🔑", "größe 🔑"],
  ["…a\uFFFDb", "a\uFFFDb"],
  ["\uFEFF…a", "a"],
  ["\uFEFF…\uFFFD", "\uFFFD"],
  ["…\uFEFFa", "\uFEFFa"],
];

const UNREADABLE = [
  [0xff], // in no UTF-8
  [0x80], // a rest without its beginning
  [0xf0, 0x9f], // a beginning without its rest
  [0xc0, 0xaf], // longer than it has to be
  [0xed, 0xa0, 0x80], // half a surrogate pair
  [0xf4, 0x90, 0x80, 0x80], // above U+10FFFF
  [0xef, 0xbf, 0xbd, 0xff], // beside a true U+FFFD
];

function parse(text: string): ReturnType<typeof parseDocument> {
  return parseDocument(text, PATH);
}

/** A file of more than 64 KiB, with a time that a change cannot have. */
function largeFile(path: string, token = "a"): void {
  const credentials = { k: entry({ access_token: token.repeat(70_000) }) };
  Deno.writeTextFileSync(path, JSON.stringify({ version: 1, credentials }), { mode: 0o600 });
  Deno.utimeSync(path, OLD, OLD);
}

Deno.test({
  name: "CredentialsFile parses a large file once for as long as it is the same",
  permissions,
  ignore: isWindows,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const file = new CredentialsFile(path);
    const first = file.read();
    assertStrictEquals(file.read(), first);
    assertEquals(file.isKept, true);
  },
});

Deno.test({
  name: "CredentialsFile reads again what was replaced, changed in place, or removed",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const file = new CredentialsFile(path);
    const first = file.read();
    largeFile(`${path}.new`, "b"); // of the same size and age
    Deno.renameSync(`${path}.new`, path);
    const second = file.read();
    assertNotStrictEquals(second, first);
    Deno.writeTextFileSync(path, `{ "version": 1, "credentials": {} }`);
    assertEquals(file.read()?.credentials, {});
    assertEquals(file.isKept, false);
    largeFile(path);
    file.read();
    Deno.removeSync(path);
    assertEquals(file.read(), undefined);
  },
});

Deno.test({
  name: "CredentialsFile reads again what has another size, or another time, older ones too",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const file = new CredentialsFile(path);
    const first = file.read();
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, text.replace("aaa", "bb")); // in place, and backdated
    Deno.utimeSync(path, OLD, OLD);
    const second = file.read();
    assertNotEquals(second, first);
    Deno.writeTextFileSync(path, text.replace("aaa", "cc"));
    const older = new Date(OLD.getTime() - 1000);
    Deno.utimeSync(path, older, older);
    assertNotEquals(file.read(), second);
  },
});

Deno.test({
  name: "CredentialsFile keeps no old content of a file that is replaced while it is read",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    largeFile(`${path}.new`, "b");
    const file = new CredentialsFile(path);
    const { prototype } = Deno.FsFile;
    const { readSync } = prototype;
    prototype.readSync = function (buffer) {
      prototype.readSync = readSync;
      Deno.renameSync(`${path}.new`, path);
      return readSync.call(this, buffer);
    };
    try {
      file.read();
    } finally {
      prototype.readSync = readSync;
    }
    assertEquals(getEntry(file.read()!, "k", path)?.access_token, "b".repeat(70_000));
  },
});

Deno.test({
  name: "CredentialsFile keeps nothing where a file has no number to know it by",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    const file = new CredentialsFile(path);
    const { lstatSync, FsFile: { prototype } } = Deno;
    const { statSync } = prototype;
    Deno.lstatSync = (path) => ({ ...lstatSync(path), ino: 0 });
    prototype.statSync = function () {
      return { ...statSync.call(this), ino: 0 };
    };
    try {
      file.read();
    } finally {
      Deno.lstatSync = lstatSync;
      prototype.statSync = statSync;
    }
    assertEquals(file.isKept, false);
  },
});

Deno.test({
  name:
    "CredentialsFile does not keep what may still change within one tick of the clock, nor a small file",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    largeFile(path);
    Deno.utimeSync(path, new Date(), new Date());
    const file = new CredentialsFile(path);
    assertNotStrictEquals(file.read(), file.read());
    Deno.writeTextFileSync(path, `{ "version": 1, "credentials": {} }`);
    Deno.utimeSync(path, OLD, OLD);
    assertNotStrictEquals(file.read(), file.read());
    assertEquals(file.isKept, false);
  },
});

Deno.test({
  name: "a file is read as the strict decoder reads it: U+FFFD is text, what is not UTF-8 an error",
  permissions,
  async fn() {
    const path = `${folder()}/a.json`;
    const file = new CredentialsFile(path);
    const [before, after] = ['{"credentials": {"k": {"x": "', '"}}}'];
    const encoder = new TextEncoder();
    for (const [text, expected] of READABLE) {
      Deno.writeTextFileSync(path, text.replace("…", before) + after);
      assertEquals(file.read()?.credentials, { k: { x: expected } }, text);
      assertEquals(readDocument(path).document.credentials, { k: { x: expected } }, text);
    }
    for (const bytes of UNREADABLE) {
      const content = [...encoder.encode(before), ...bytes, ...encoder.encode(after)];
      Deno.writeFileSync(path, Uint8Array.from(content));
      const error = await rejectsWith(
        "backend_corrupt",
        () => file.read(),
        path,
        "not JSON in UTF-8",
      );
      assertEquals(error.cause, undefined);
      await rejectsWith("backend_corrupt", () => readDocument(path), path, "not JSON in UTF-8");
    }
    Deno.writeTextFileSync(path, `\uFEFF\uFEFF${before}${after}`); // one mark is no text, two are
    await rejectsWith("backend_corrupt", () => file.read(), path, "not JSON in UTF-8");
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

Deno.test({
  name: "getEntry gives own rows alone, and undefined for null",
  permissions: "none",
  fn() {
    const document = parse(`{"version": 1, "credentials": {"${OTHER}": null}}`);
    for (const key of [KEY, OTHER, "constructor", "__proto__", "toString"]) {
      assertEquals(getEntry(document, key, PATH), undefined, key);
    }
  },
});

Deno.test({
  name: "an object that is some other program's file is backend_corrupt",
  permissions: "none",
  async fn() {
    for (const text of ['{"name": "app", "dependencies": {}}', '{"version": 1, "packages": {}}']) {
      await rejectsWith("backend_corrupt", () => parse(text), PATH);
    }
    await rejectsWith("backend_version", () => parse('{"version": 3, "packages": {}}'), PATH);
  },
});

Deno.test({
  name: "null means absent at the top of the document, too",
  permissions: "none",
  fn() {
    assertEquals(parse('{"version": null, "credentials": null}'), emptyDocument());
  },
});

Deno.test({
  name: "a file that is caught half-written is read again, and an old damaged one is not",
  permissions,
  async fn() {
    const path = `${folder()}/a.json`;
    const text = serializeDocument({ version: 1, credentials: { [KEY]: entry() } });
    const { wait } = Atomics;
    let waits = 0;
    Atomics.wait = ((...args: Parameters<typeof wait>) => {
      if (++waits === 3) Deno.writeTextFileSync(path, text);
      return wait(...args);
    }) as typeof wait;
    try {
      for (const half of ["", text.slice(0, 90)]) {
        waits = 0;
        Deno.writeTextFileSync(path, half, { mode: 0o600 });
        assertEquals(getEntry(new CredentialsFile(path).read()!, KEY, path), entry());
        assertEquals(waits, 3);
      }
      waits = 3;
      Deno.writeTextFileSync(path, "{");
      await rejectsWith("backend_corrupt", () => new CredentialsFile(path).read(), path);
      assertEquals(waits, 7);
      Deno.utimeSync(path, OLD, OLD);
      await rejectsWith("backend_corrupt", () => new CredentialsFile(path).read(), path);
      assertEquals(waits, 7);
    } finally {
      Atomics.wait = wait;
    }
  },
});
