import { assert, assertEquals, assertMatch } from "@std/assert";
import { partOf } from "../support/generated_part.ts";
import { whyNoDenial } from "../support/run_denied.ts";
import { MESSAGES_PAGE, sectionOf, SECTIONS } from "./messages_page.ts";

// Paths, the keychain's name and the quotes of a shell are others elsewhere.
const ignore = Deno.build.os !== "linux" || whyNoDenial !== undefined;

/** The commands that a message prints, to run as they are. */
function commandsIn(message: string): string[] {
  const indented = message.split("\n").filter((line) =>
    /^ {2}(echo |deno run |validmind-auth )/.test(line)
  );
  const inText = message.matchAll(
    /(?:^Try: |that you need: |: see )((?:deno run|validmind-auth) .*?)\.?$/gm,
  );
  return [...indented.map((line) => line.trim()), ...[...inText].map(([, line]) => line!)];
}

for (const section of SECTIONS) {
  Deno.test({
    name: `messages: the page has the ${section.name} as they are told, and each command works`,
    ignore,
    async fn() {
      const page = await Deno.readTextFile(MESSAGES_PAGE);
      const ran: string[] = [];
      const part = await sectionOf(section, async ({ message }, shell) => {
        for (const line of commandsIn(message)) {
          const { code, stderr } = await shell(line);
          assertEquals(code, 0, `${line}\n${stderr}`);
          ran.push(line);
        }
      });
      assertEquals(partOf(page, part).split("\n"), part.text.split("\n"), "deno task messages");
      const expected = section.name === "mistakes" ? 20 : 0;
      assert(ran.length >= expected, `${ran.length} commands ran: ${ran.join("\n")}`);
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
  for (const [what, where, code, message] of await rows()) {
    // The settings file has the options' names.
    if (where === "CLI" && code !== "`settings_invalid`") {
      assert(!words.test(message!), `${what}: ${message}`);
    }
  }
});

Deno.test("messages: the page has each code of README's table of errors", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const [, table] = /\| code +\| what to do +\|\n(.*?)\n\n/s.exec(readme)!;
  const codes = [...table!.matchAll(/^\| `(\w+)`/gm)].map(([, code]) => `\`${code}\``);
  assert(codes.length >= 10);
  const told = (await rows()).map(([, , code]) => code);
  assertEquals(codes.filter((code) => !told.includes(code)), []);
});
