import { assertEquals } from "@std/assert";
import { nearestWord } from "../../../client/cli/nearest_word.ts";

const WORDS = ["login", "logout", "status", "token", "api-host"];

for (
  const [word, expected] of [
    ["lgoin", "login"], // two letters swapped
    ["logn", "login"], // one left out
    ["loggin", "login"], // one too many
    ["tokem", "token"], // another one
    ["STATUS", "status"],
    ["apihost", "api-host"],
    ["logot", "logout"],
    ["restart", undefined],
    ["x", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`nearestWord: "${word}" means ${expected ?? "nothing known"}`, () => {
    assertEquals(nearestWord(word, WORDS), expected);
  });
}
