/**
 * Each sentence of a page that promises something has a test, and each attack that SECURITY.md lists,
 * too. The sentences and their tests are in `promises/`.
 */
import { assert, assertEquals } from "@std/assert";
import { rowsOf, sentencesOf, titlesOf } from "../support/page_sentences.ts";
import { BACKENDS } from "./promises/backends_promises.ts";
import { CLIENT } from "./promises/client_promises.ts";
import type { PagePromises } from "./promises/page_promises.ts";
import { README } from "./promises/readme_promises.ts";
import { SECURITY } from "./promises/security_promises.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGES: Record<string, PagePromises> = {
  "README.md": README,
  ".github/SECURITY.md": SECURITY,
  "backends/README.md": BACKENDS,
  "client/README.md": CLIENT,
};
/** Has a test of its own below. */
const ATTACKS = "Attacks";

const sources = new Map<string, Promise<string>>();

/** Fails unless the file has a test whose name begins so. */
async function assertTest(test: string): Promise<void> {
  const [, file, name] = /^(\S+_test\.ts): (.+)$/s.exec(test) ?? [];
  assert(file && name, `"${test}" is no file and name`);
  const parts = name.split("…");
  assert(parts.join("").length >= 8, `"${test}" is any test`);
  if (!sources.has(file)) sources.set(file, Deno.readTextFile(new URL(`tests/${file}`, ROOT)));
  // A name is the argument of a function such as Deno.test, or the property of its options.
  const pattern = new RegExp(
    `(?:\\(\\s*|name: |name:\\s+|\\? )["'\`]${
      parts.map((part) => RegExp.escape(part)).join("[^\"'`\\n]*")
    }`,
  );
  assert(pattern.test(await sources.get(file)!), `${file} has no test "${name}"`);
}

for (const [page, { sections, promises, describes }] of Object.entries(PAGES)) {
  Deno.test(`each sentence of ${page} has a test, or promises nothing`, async () => {
    const text = await Deno.readTextFile(new URL(page, ROOT));
    const others = sections && titlesOf(text).filter((title) => !sections.includes(title));
    const sentences = sentencesOf(text, others ?? [ATTACKS]);
    const starts = [...promises.map(([start]) => start), ...describes];
    const gone = starts.filter((start) => !sentences.some((text) => text.startsWith(start)));
    assertEquals(gone, [], `not on ${page}, but in promises/`);
    const entries = (text: string) => starts.filter((start) => text.startsWith(start)).length;
    assertEquals(sentences.filter((text) => entries(text) === 0), [], "not in promises/");
    assertEquals(sentences.filter((text) => entries(text) > 1), [], "twice in promises/");
  });

  Deno.test(`the tests of the promises of ${page} exist`, async () => {
    const missing: string[] = [];
    for (const [start, ...tests] of promises) {
      assert(tests.length > 0, start);
      for (const test of tests) {
        await assertTest(test).catch(({ message }) => missing.push(message));
      }
    }
    assertEquals(missing, []);
  });
}

Deno.test("each attack in SECURITY.md has a test", async () => {
  const page = await Deno.readTextFile(new URL(".github/SECURITY.md", ROOT));
  const rows = rowsOf(page, ATTACKS);
  assert(rows.length >= 40, `${rows.length} rows`);
  for (const [attack, defence, test = ""] of rows) {
    assert(attack && defence, test);
    await assertTest(test.replaceAll("`", ""));
  }
});

Deno.test("the check of a test's name fails for one that is not there", async () => {
  for (const name of ["no such test", "a planted … that does not exist", "…", "KEY = "]) {
    const run = () => assertTest(`behaviour/hostile_neighbour_test.ts: ${name}`);
    const failed = await run().then(() => false, () => true);
    assert(failed, name);
  }
});
