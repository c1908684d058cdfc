import { assertEquals } from "@std/assert";
import { getEntry, parseDocument } from "../../../backends/file/credentials_file.ts";
import {
  assertWritable,
  emptyDocument,
  looksLikeCredentials,
  rowText,
  rowWriter,
  serializeDocument,
  setRow,
} from "../../../backends/file/edit_document.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const PATH = "/home/ana maria/.validmind/credentials.json";

function parse(text: string): ReturnType<typeof parseDocument> {
  return parseDocument(text, PATH);
}

Deno.test({
  name: "a document comes back from its own text, with all that it holds",
  permissions: "none",
  fn() {
    const document = { ...emptyDocument(), x_top: [1, null], credentials: { [KEY]: entry() } };
    assertEquals(parse(serializeDocument(document)), document);
    assertEquals(parse(serializeDocument(emptyDocument())), emptyDocument());
    assertEquals(emptyDocument(), { version: 1, credentials: {} });
  },
});

Deno.test({
  name: "two empty documents share nothing",
  permissions: "none",
  fn() {
    setRow(emptyDocument(), KEY, entry());
    assertEquals(emptyDocument(), { version: 1, credentials: {} });
  },
});

Deno.test({
  name: "fields keep their order, so that a rewrite changes no more than it must",
  permissions: "none",
  fn() {
    const text = serializeDocument({ x_first: 1, version: 1, x_second: 2, credentials: {} });
    assertEquals(Object.keys(parse(text)), ["x_first", "version", "x_second", "credentials"]);
    assertEquals(serializeDocument(parse(text)), text);
  },
});

Deno.test({
  name: "a row under __proto__ is a row, and changes no prototype",
  permissions: "none",
  fn() {
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
});

Deno.test({
  name: "setRow replaces a row, and a replaced row can be deleted",
  permissions: "none",
  fn() {
    const document = emptyDocument();
    setRow(document, KEY, entry());
    setRow(document, KEY, entry({ x_second: 2 }));
    assertEquals(document.credentials, { [KEY]: entry({ x_second: 2 }) });
    assertEquals(delete document.credentials[KEY], true);
    assertEquals(document.credentials, {});
  },
});

Deno.test({
  name: "assertWritable refuses a higher version, by the path and both versions",
  permissions: "none",
  async fn() {
    assertWritable(emptyDocument(), PATH);
    for (const version of [2, 7, 1e21]) {
      const check = () => assertWritable({ ...emptyDocument(), version }, PATH);
      await rejectsWith("backend_version", check, PATH, `version ${version}`, "version 1");
    }
  },
});

Deno.test({
  name: "what looks like credentials, whole or damaged, may be thrown away; other files may not",
  permissions: "none",
  fn() {
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
});

Deno.test({
  name: "the error of a corrupt document has no cause: that would quote the text",
  permissions: "none",
  async fn() {
    const text = serializeDocument({ ...emptyDocument(), credentials: { [KEY]: entry() } });
    for (let end = 0; end < text.length - 2; end += 7) {
      const error = await rejectsWith("backend_corrupt", () => parse(text.slice(0, end)), PATH);
      assertEquals(error.cause, undefined);
    }
  },
});

const ODD = `{
  "version": 1,
  "credentials": {
    "a": {
      "access_token": "NaN 12345678901234567890",
      "big": 12345678901234567890,
      "nested": [
        -98765432109876543210,
        {
          "x": -Infinity
        }
      ],
      "nothing": NaN,
      "float": 0.12345678901234568
    },
    "b": {
      "access_token": "t",
      "big": 9007199254740993
    }
  }
}
`;

Deno.test("numbers that JavaScript cannot hold, and Python's NaN, are kept as written", () => {
  const document = parse(ODD);
  assertEquals(serializeDocument(document), ODD);
  const row = getEntry(document, "a", PATH)!;
  assertEquals([row.big, row.nothing, row.float], [
    12345678901234567000,
    null,
    0.12345678901234568,
  ]);
  assertEquals(row.access_token, "NaN 12345678901234567890");
  setRow(document, "a", { ...row, access_token: "new" });
  setRow(document, "b", { ...getEntry(document, "b", PATH)!, big: 5 });
  const expected = ODD.replace('"NaN 12345678901234567890"', '"new"').replace(
    "9007199254740993",
    "5",
  );
  assertEquals(serializeDocument(document), expected);
});

Deno.test("a text or a name that looks like the mark of such a number is kept as it is", () => {
  const odd = "\0number 12";
  const row = { ...entry(), scope: odd, [odd]: { [odd]: [odd] } };
  const document = parse(JSON.stringify({ credentials: { [odd]: row } }));
  assertEquals(getEntry(document, odd, PATH), row);
  setRow(document, KEY, row);
  const written = parse(serializeDocument(document));
  assertEquals(written.credentials, { [odd]: row, [KEY]: row });
});

Deno.test("the text of a row with such a number is the same in every process", () => {
  assertEquals(
    rowText(parse('{"credentials": {"a": {"n": 12345678901234567890}}}'), "a"),
    '[["n",12345678901234567000]]',
  );
});

for (
  const text of [
    '{"credentials": {"a": NaNs}}',
    '{"credentials": {NaN: {}}}',
    '{"credentials": {1234567890123456: {}}}',
    '{"credentials": NaN}',
    '{"credentials": {"a": -NaN}}',
    '{"credentials": {"a": 12345678901234567.}}',
    '{"credentials": {"a": NaN "x',
  ]
) {
  Deno.test(`no JSON in spite of odd numbers: ${text}`, async () => {
    await rejectsWith("backend_corrupt", () => parse(text));
  });
}

Deno.test("a damaged text of many quotes is refused in linear time", async () => {
  const start = performance.now();
  await rejectsWith("backend_corrupt", () => parse(`{"a": NaN, "${'\\"'.repeat(100_000)}`));
  const ms = performance.now() - start;
  assertEquals(ms < 2000, true, `${ms} ms`);
});

Deno.test("a row of great depth is read", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const row = getEntry(parse(`{"credentials": {"a": {"x": ${deep}}}}`), "a", PATH);
  assertEquals(Array.isArray(row?.x), true);
});

/** A row that makes a text large. */
const FILLER = `    "filler": {
      "access_token": "${"f".repeat(70_000)}"
    }`;

const ROW = `"${KEY}": {
      "access_token": "old",
      "nested": {
        "big": -98765432109876543210
      }
    }`;

const MANY = `{
  "version": 1,
  "credentials": {
    "${OTHER}": {
      "access_token": "t",
      "big": 12345678901234567890
    },
    ${ROW},
${FILLER}
  },
  "x_top": [
    1
  ]
}
`;

/** The text with a new row under {@linkcode KEY}, and the one of the whole document. */
function rewrite(text: string): { written: string | undefined; whole: string } {
  const document = parse(text);
  const write = rowWriter({ document, text }, KEY);
  setRow(document, KEY, { ...getEntry(document, KEY, PATH), access_token: 'new "\n"', list: [{}] });
  return { written: write?.(), whole: serializeDocument(document) };
}

Deno.test("a row of a large text is written as with the whole document, and the rest stays", () => {
  const { written, whole } = rewrite(MANY);
  assertEquals(written, whole);
  const odd = (text: string) => text.replace("1,", '1, "a b":NaN,').replace("[\n    1", "[1");
  assertEquals(rewrite(odd(MANY)).written, odd(whole));
});

for (
  const [name, text] of [
    ["a small text", MANY.replace(FILLER, '    "filler": {}')],
    ["a text in another form", JSON.stringify(JSON.parse(MANY))],
    ["a text without a version", MANY.replace('  "version": 1,\n', "")],
    ["a text with a backslash", MANY.replace('"t"', '"\\u0074"')],
    ["a key with a backslash", MANY.replace(KEY, KEY.replaceAll("/", "\\/"))],
    ["no such row", MANY.replace(KEY, "another")],
    [
      "the key elsewhere",
      MANY.replace(ROW, '"another": {}').replace("[\n    1", `[\n    {${ROW}}`),
    ],
    ["the key twice", MANY.replace('"t"', `"${KEY}"`)],
    ["the row twice", MANY.replace(FILLER, `    ${ROW},\n${FILLER}`)],
    ["a row that is null", MANY.replace(ROW, `"${KEY}": null`)],
    ["a row on one line", MANY.replace(ROW, `"${KEY}": { "access_token": "old" }`)],
    ["a row without indentation", MANY.replace(ROW, ROW.replace(/\n */g, "\n"))],
    ["an object in the row that ends like the row", MANY.replace("\n      }", "\n    }")],
  ] as const
) {
  Deno.test(`a row is not written alone where it is not certain that this is right: ${name}`, () => {
    const document = parse(text);
    assertEquals(rowWriter({ document, text }, KEY), undefined);
  });
}

Deno.test("a field __proto__ of a row is a field, and changes no prototype", () => {
  const text = '{"credentials": {"a": {"__proto__": {"x": 12345678901234567890}}}}';
  const row = getEntry(parse(text), "a", PATH)!;
  assertEquals(Object.getPrototypeOf(row), Object.prototype);
  assertEquals(Object.entries(row), [["__proto__", { x: 12345678901234567000 }]]);
});
