import { assertEquals } from "@std/assert";
import {
  assertWritable,
  emptyDocument,
  getEntry,
  looksLikeCredentials,
  parseDocument,
  readForUpdate,
  readIfPresent,
  serializeDocument,
  setRow,
} from "../../../backends/file/document.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();
const PATH = "/home/ana maria/.validmind/credentials.json";

function parse(text: string): ReturnType<typeof parseDocument> {
  return parseDocument(new TextEncoder().encode(text), PATH);
}

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

Deno.test(
  "a file is read as the strict decoder reads it: U+FFFD is text, what is not UTF-8 an error",
  { permissions },
  async () => {
    const path = `${folder()}/a.json`;
    const [before, after] = ['{"credentials": {"k": {"x": "', '"}}}'];
    const encoder = new TextEncoder();
    for (const [text, expected] of READABLE) {
      Deno.writeTextFileSync(path, text.replace("…", before) + after, { mode: 0o600 });
      assertEquals(readIfPresent(path)?.credentials, { k: { x: expected } }, text);
      assertEquals(readForUpdate(path).document.credentials, { k: { x: expected } }, text);
    }
    for (const bytes of UNREADABLE) {
      const content = [...encoder.encode(before), ...bytes, ...encoder.encode(after)];
      Deno.writeFileSync(path, Uint8Array.from(content));
      const error = await rejectsWith(
        "backend_corrupt",
        () => readIfPresent(path),
        path,
        "not JSON in UTF-8",
      );
      assertEquals(error.cause, undefined);
      await rejectsWith("backend_corrupt", () => readForUpdate(path), path, "not JSON in UTF-8");
    }
    Deno.writeTextFileSync(path, `\uFEFF\uFEFF${before}${after}`); // one mark is no text, two are
    await rejectsWith("backend_corrupt", () => readIfPresent(path), path, "not JSON in UTF-8");
  },
);

Deno.test("getEntry gives own rows alone, and undefined for null", { permissions: "none" }, () => {
  const document = parse(`{"version": 1, "credentials": {"${OTHER}": null}}`);
  for (const key of [KEY, OTHER, "constructor", "__proto__", "toString"]) {
    assertEquals(getEntry(document, key, PATH), undefined, key);
  }
});

Deno.test(
  "an object that is some other program's file is backend_corrupt",
  { permissions: "none" },
  async () => {
    for (const text of ['{"name": "app", "dependencies": {}}', '{"version": 1, "packages": {}}']) {
      await rejectsWith("backend_corrupt", () => parse(text), PATH);
    }
    await rejectsWith("backend_version", () => parse('{"version": 3, "packages": {}}'), PATH);
  },
);

Deno.test("a document comes back from its own text, with all that it holds", {
  permissions: "none",
}, () => {
  const document = { ...emptyDocument(), x_top: [1, null], credentials: { [KEY]: entry() } };
  assertEquals(parse(serializeDocument(document)), document);
  assertEquals(parse(serializeDocument(emptyDocument())), emptyDocument());
  assertEquals(emptyDocument(), { version: 1, credentials: {} });
});

Deno.test("fields keep their order, so that a rewrite changes no more than it must", {
  permissions: "none",
}, () => {
  const text = serializeDocument({ x_first: 1, version: 1, x_second: 2, credentials: {} });
  assertEquals(Object.keys(parse(text)), ["x_first", "version", "x_second", "credentials"]);
  assertEquals(serializeDocument(parse(text)), text);
});

Deno.test(
  "a row under __proto__ is a row, and changes no prototype",
  { permissions: "none" },
  () => {
    const document = emptyDocument();
    setRow(document, "__proto__", entry());
    assertEquals(Object.getPrototypeOf(document.credentials), Object.prototype);
    const again = parse(serializeDocument(document));
    assertEquals(getEntry(again, "__proto__", PATH), entry());
    assertEquals(getEntry(again, "issuer", PATH), undefined);
    assertEquals(
      parse('{"version": 1, "__proto__": {"credentials": {}}, "credentials": {}}').version,
      1,
    );
  },
);

Deno.test("assertWritable refuses a higher version, by the path and both versions", {
  permissions: "none",
}, async () => {
  assertWritable(emptyDocument(), PATH);
  for (const version of [2, 7, 1e21]) {
    const check = () => assertWritable({ ...emptyDocument(), version }, PATH);
    await rejectsWith("backend_version", check, PATH, `version ${version}`, "version 1");
  }
});

Deno.test(
  "what looks like credentials, whole or damaged, may be thrown away; other files may not",
  { permissions: "none" },
  () => {
    const own = ["", " \n", '{"version": 1, "credentials": {"a|b', "{}", '{"version": 1}'];
    own.push('{"version": 2, "credentials": {}}', '{"version": "1", "credentials": {}, "x": 1}');
    for (const text of own) assertEquals(looksLikeCredentials(text), true, text);
    const others = [
      "notes",
      '{"name": "app"}',
      '{"credentials": []}',
      '{"version": 2, "items": []}',
    ];
    others.push(
      '{"version": 1, "credentials": [{"user": "ana"}]}',
      '{"installed": {"client_id": "x"}}',
    );
    others.push('[{"credentials": {}}]', '"\\"credentials\\""', "null");
    for (const text of others) assertEquals(looksLikeCredentials(text), false, text);
  },
);

Deno.test("the error of a corrupt document has no cause: that would quote the text", {
  permissions: "none",
}, async () => {
  const text = serializeDocument({ ...emptyDocument(), credentials: { [KEY]: entry() } });
  for (let end = 0; end < text.length - 2; end += 7) {
    const error = await rejectsWith("backend_corrupt", () => parse(text.slice(0, end)), PATH);
    assertEquals(error.cause, undefined);
  }
});

const NUMBERS = `{
  "version": 1,
  "credentials": {
    "a": {
      "access_token": "12345678901234567890",
      "big": 12345678901234567890,
      "nested": [
        -98765432109876543210,
        {
          "x": 1.50
        }
      ]
    },
    "b": {
      "access_token": "t",
      "big": 9007199254740993
    }
  }
}
`;

Deno.test("numbers that JavaScript cannot hold are kept as written", () => {
  const document = parse(NUMBERS);
  assertEquals(serializeDocument(document), NUMBERS);
  const read = JSON.parse(NUMBERS).credentials; // as get() gives them
  setRow(document, "a", { ...read.a, access_token: "new" });
  setRow(document, "b", { ...read.b, big: 5 });
  const expected = NUMBERS.replace('"12345678901234567890"', '"new"')
    .replace("9007199254740993", "5");
  assertEquals(serializeDocument(document), expected);
});
