import { assertEquals } from "@std/assert";
import { didYouMean } from "../../../client/cli/usage_error.ts";

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
    ["stat", "status"],
    ["log", "login or logout"],
    ["constructor", undefined],
    ["l", undefined],
    ["restart", undefined],
    ["x", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`didYouMean: "${word}" means ${expected ?? "nothing known"}`, () => {
    assertEquals(didYouMean(word, WORDS), expected ? `Did you mean ${expected}?` : "");
  });
}
