import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";
import { callsOf } from "./stores.ts";

const { folder, permissions } = sandbox();

const test = testWith({ permissions });
const encoder = new TextEncoder();
const whole = JSON.stringify({ version: 1, credentials: { [KEY]: entry() } }, null, 2);
const rows = { [KEY]: entry() };

/** A backend of a file with this content, and the file's folder. */
function written(content: Uint8Array | string, parent = folder()) {
  const path = `${parent}/credentials.json`;
  Deno.mkdirSync(parent, { recursive: true, mode: 0o700 });
  Deno.writeFileSync(path, typeof content === "string" ? encoder.encode(content) : content);
  Deno.chmodSync(path, 0o600);
  return { parent, path, backend: new FileCredentialsBackend({ path }) };
}

/** A file in which a text field has these bytes. */
function withBytes(...bytes: number[]): Uint8Array {
  const [before, after] = ['{"credentials": {"k": {"x": "', '"}}}'];
  return Uint8Array.from([...encoder.encode(before), ...bytes, ...encoder.encode(after)]);
}

/** What nobody can make sense of: every access fails. */
const CORRUPT: Record<string, Uint8Array | string> = {
  "empty": "",
  "white space": "\n  \n",
  "truncated in a token": whole.slice(0, whole.indexOf(entry().access_token) + 11),
  "truncated before its last brace": whole.slice(0, -1),
  "followed by rubbish": `${whole}}`,
  "not UTF-8": withBytes(0xff),
  "a rest of UTF-8 without its beginning": withBytes(0x80),
  "a beginning of UTF-8 without its rest": withBytes(0xf0, 0x9f),
  "UTF-8 that is longer than it has to be": withBytes(0xc0, 0xaf),
  "half a surrogate pair": withBytes(0xed, 0xa0, 0x80),
  "no UTF-8 beside a true U+FFFD": withBytes(0xef, 0xbf, 0xbd, 0xff),
  "UTF-16": Uint8Array.from([
    0xff,
    0xfe,
    ...[...encoder.encode(whole)].flatMap((byte) => [byte, 0]),
  ]),
  "behind two byte order marks": `\uFEFF\uFEFF${whole}`,
  "a bare token": entry().access_token,
  "null": "null",
  "a number": "1",
  "a string": JSON.stringify(whole),
  "an array": JSON.stringify([entry()]),
  "of a string version": JSON.stringify({ version: "1", credentials: rows }),
  "of version 0": JSON.stringify({ version: 0, credentials: rows }),
  "of version 1.5": JSON.stringify({ version: 1.5, credentials: rows }),
  "with an array of credentials": JSON.stringify({ version: 1, credentials: [entry()] }),
  "with a string for credentials": JSON.stringify({ version: 1, credentials: "x" }),
  "another program's": '{"name": "app", "dependencies": {}}',
  "another program's, with a version": '{"version": 1, "packages": {}}',
};

for (const [what, content] of Object.entries(CORRUPT)) {
  test(`file: one that is ${what} is an error, is left as it is, and can be removed`, async () => {
    const { parent, path, backend } = written(content);
    const before = Deno.readFileSync(path);
    for (const access of callsOf(backend)) {
      const reason = /UTF|surrogate|truncated|empty|rubbish/.test(what) ? "not JSON in UTF-8" : "";
      const words = [path, reason, "clearOidcCredentials({ all: true })", "or delete it"];
      const { cause } = await rejectsWith("backend_corrupt", access, ...words);
      assertEquals(cause, undefined); // it would quote the file
    }
    assertEquals(Deno.readFileSync(path), before);
    assertEquals(namesIn(parent).filter((name) => !name.endsWith(".lock")), ["credentials.json"]);
    const own = written(content, `${parent}/.validmind`);
    await own.backend.deleteAll(); // whatever it is, at the default place
    await own.backend.put(KEY, entry());
    assertEquals(own.backend.get(KEY), entry());
  });
}

test("file: U+FFFD and one byte order mark are text", async () => {
  for (
    const [text, expected] of [
      ["…größe 🔑", "größe 🔑"],
      ["…a\uFFFDb", "a\uFFFDb"],
      ["\uFEFF…\uFFFD", "\uFFFD"],
      ["…\uFEFFa", "\uFEFFa"],
    ] as const
  ) {
    const content = `${text.replace("…", '{"credentials": {"k": {"x": "')}"}}}`;
    const { backend } = written(content);
    assertEquals({ ...backend.get("k") }, { x: expected } as object, text);
    await backend.put("other", entry());
    assertEquals({ ...backend.get("k") }, { x: expected } as object, text);
  }
});

for (const row of ["a token", 1, true, [entry()]]) {
  test(`file: a row that is ${JSON.stringify(row).slice(0, 12)}… is an error, others work`, async () => {
    const text = JSON.stringify({ version: 1, credentials: { [KEY]: row, [OTHER]: entry() } });
    const { backend, path } = written(text);
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await backend.put(OTHER, entry({ x_new: 1 }));
    assertEquals(backend.get(OTHER), entry({ x_new: 1 }));
    await rejectsWith("backend_corrupt", () => backend.get(KEY), path);
    await backend.delete(KEY);
    assertEquals(backend.get(KEY), undefined);
  });
}

test("file: deleteAll at any path removes what looks like credentials, whole or damaged", async () => {
  const own = ["", " \n", '{"version": 1, "credentials": {"a|b', "{}", '{"version": 1}'];
  own.push('{"version": 2, "credentials": {}}', '{"version": "1", "credentials": {}, "x": 1}');
  for (const text of own) {
    const { parent, backend } = written(text);
    await backend.deleteAll();
    assertEquals(namesIn(parent), ["credentials.json.lock"], text);
  }
  const others = ["notes", '{"name": "app"}', '{"credentials": []}', '{"version": 2, "items": []}'];
  others.push('{"version": 1, "credentials": [{"a": 1}]}', '{"installed": {"client_id": "x"}}');
  others.push('[{"credentials": {}}]', '"\\"credentials\\""', "null");
  for (const text of others) {
    const { path, backend } = written(text);
    const words = [path, "does not look like", "delete the file yourself"];
    await rejectsWith("backend_corrupt", () => backend.deleteAll(), ...words);
    assertEquals(Deno.readTextFileSync(path), text);
  }
});

test("file: one that is larger than any credentials file is neither read nor deleted", async () => {
  const { path, backend } = written("");
  Deno.truncateSync(path, 3_000_000_000);
  const words = [path, "3000000000 bytes"];
  await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
  await rejectsWith("backend_denied", () => backend.put(KEY, entry()), ...words);
  await rejectsWith("backend_denied", () => backend.deleteAll(), path);
  assertEquals(Deno.statSync(path).size, 3_000_000_000);
});
