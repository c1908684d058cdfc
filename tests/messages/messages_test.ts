import { assert, assertEquals, assertMatch } from "@std/assert";
import { partOf } from "../support/generated_part.ts";
import { whyNoDenial } from "../support/run_denied.ts";
import { MESSAGES_PAGE, sectionOf, SECTIONS } from "./messages_page.ts";

// Paths, the keychain's name and the quotes of a shell are others elsewhere.
const ignore = Deno.build.os !== "linux" || whyNoDenial !== undefined;

for (const section of SECTIONS) {
  Deno.test({
    name: `messages: the page has the ${section.name} as they are told`,
    ignore,
    async fn() {
      const page = await Deno.readTextFile(MESSAGES_PAGE);
      const part = await sectionOf(section);
      assertEquals(partOf(page, part).split("\n"), part.text.split("\n"), "deno task messages");
    },
  });
}

/** The cells of each row of the page: what, where, code, message. */
async function rows(): Promise<string[][]> {
  const page = await Deno.readTextFile(MESSAGES_PAGE);
  return page.split("\n").filter((line) => /^\| (?!---|fault |mistake )/.test(line)).map((line) =>
    line.slice(2, -2).split(" | ")
  );
}

Deno.test("messages: each says what cannot be done, why, and what to do", async () => {
  const all = await rows();
  assert(all.length >= 80, `${all.length} rows`);
  for (const [what, , code, message] of all) {
    assertMatch(code!, /^`[a-z_]+`$/, what);
    assertMatch(message!, /^`{1,2} ?Cannot .+: .+[.?][ `].+/, what);
    assert(!/\(\w*Error\)|undefined|\[object/.test(message!), `${what}: ${message}`);
    const sentences = message!.split(/(?<=\.) /);
    assertEquals(sentences.filter((one, i) => sentences.indexOf(one) !== i), [], what);
  }
});

Deno.test("messages: those of the command line have no words of the API", async () => {
  const words = /\b(clientId|clientSecret|apiKey|apiHost|credentialsBackend|init\(|bearer:)/;
  for (const [what, where, , message] of await rows()) {
    if (where === "CLI") assert(!words.test(message!), `${what}: ${message}`);
  }
});
