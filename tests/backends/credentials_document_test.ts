import { assertEquals } from "@std/assert";
import {
  assertWritable,
  emptyDocument,
  getEntry,
  looksLikeCredentials,
  parseDocument,
  serializeDocument,
  setEntry,
} from "../../backends/credentials_document.ts";
import { entry, KEY, OTHER } from "./entries.ts";
import { throwsWith } from "./rejects_with.ts";

const permissions = "none";
const PATH = "/home/ana/.validmind/credentials.json";

function parse(text: string): ReturnType<typeof parseDocument> {
  return parseDocument(new TextEncoder().encode(text), PATH);
}

Deno.test({
  name: "a document comes back from its own text, with all that it holds",
  permissions,
  fn() {
    const document = { ...emptyDocument(), x_top: [1, null], credentials: { [KEY]: entry() } };
    assertEquals(parse(serializeDocument(document)), document);
    assertEquals(parse(serializeDocument(emptyDocument())), emptyDocument());
    assertEquals(emptyDocument(), { version: 1, credentials: {} });
  },
});

Deno.test({
  name: "two empty documents share nothing",
  permissions,
  fn() {
    setEntry(emptyDocument(), KEY, entry());
    assertEquals(emptyDocument(), { version: 1, credentials: {} });
  },
});

Deno.test({
  name: "fields keep their order, so that a rewrite changes no more than it must",
  permissions,
  fn() {
    const text = serializeDocument({ x_first: 1, version: 1, x_second: 2, credentials: {} });
    assertEquals(Object.keys(parse(text)), ["x_first", "version", "x_second", "credentials"]);
    assertEquals(serializeDocument(parse(text)), text);
  },
});

Deno.test({
  name: "getEntry gives own rows alone, and undefined for null",
  permissions,
  fn() {
    const document = parse(`{"version": 1, "credentials": {"${OTHER}": null}}`);
    for (const key of [KEY, OTHER, "constructor", "__proto__", "toString"]) {
      assertEquals(getEntry(document, key, PATH), undefined, key);
    }
  },
});

Deno.test({
  name: "a row under __proto__ is a row, and changes no prototype",
  permissions,
  fn() {
    const document = emptyDocument();
    setEntry(document, "__proto__", entry());
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
  name: "setEntry replaces a row, and a replaced row can be deleted",
  permissions,
  fn() {
    const document = emptyDocument();
    setEntry(document, KEY, entry());
    setEntry(document, KEY, entry({ x_second: 2 }));
    assertEquals(document.credentials, { [KEY]: entry({ x_second: 2 }) });
    assertEquals(delete document.credentials[KEY], true);
    assertEquals(document.credentials, {});
  },
});

Deno.test({
  name: "assertWritable refuses a higher version, by the path and both versions",
  permissions,
  fn() {
    assertWritable(emptyDocument(), PATH);
    for (const version of [2, 7, 1e21]) {
      const check = () => assertWritable({ ...emptyDocument(), version }, PATH);
      throwsWith("backend_version", check, PATH, `version ${version}`, "version 1");
    }
  },
});

Deno.test({
  name: "an object that is some other program's file is backend_corrupt",
  permissions,
  fn() {
    for (const text of ['{"name": "app", "dependencies": {}}', '{"version": 1, "packages": {}}']) {
      throwsWith("backend_corrupt", () => parse(text), PATH);
    }
    throwsWith("backend_version", () => parse('{"version": 3, "packages": {}}'), PATH);
  },
});

Deno.test({
  name: "null means absent at the top of the document, too",
  permissions,
  fn() {
    assertEquals(parse('{"version": null, "credentials": null}'), emptyDocument());
  },
});

Deno.test({
  name: "what looks like credentials, whole or damaged, may be thrown away; other files may not",
  permissions,
  fn() {
    const looks = (text: string) => looksLikeCredentials(new TextEncoder().encode(text));
    assertEquals(["", '{"version": 1, "credentials": {"a|b'].map(looks), [true, true]);
    assertEquals(["notes", '{"name": "app"}'].map(looks), [false, false]);
  },
});

Deno.test({
  name: "the error of a corrupt document has no cause: that would quote the text",
  permissions,
  fn() {
    const text = serializeDocument({ ...emptyDocument(), credentials: { [KEY]: entry() } });
    for (let end = 0; end < text.length - 2; end += 7) {
      const error = throwsWith("backend_corrupt", () => parse(text.slice(0, end)), PATH);
      assertEquals(error.cause, undefined);
    }
  },
});
