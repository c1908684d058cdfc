import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkCallOptions } from "../../client/check_option_types.ts";
import type { ClearOptions } from "../../client/clear_result.ts";
import { createSession } from "../../client/create_session.ts";
import type { PostOptions } from "../../client/session.ts";
import { assertCode, scriptedWorld, SpyBackend } from "./fixtures.ts";

const TYPES = { name: "string", flag: "boolean", run: "function", extra: "any", more: "object" };

const GOOD: unknown[] = [
  {},
  { name: undefined, flag: undefined },
  { name: "x", flag: false, run: () => {}, extra: null, more: {} },
  { extra: 5 },
  Object.create(null),
];

for (const [index, options] of GOOD.entries()) {
  Deno.test(`checkCallOptions takes the good options ${index}`, () => {
    checkCallOptions("test", options, TYPES);
  });
}

const BAD: [options: unknown, words: string][] = [
  [null, "its options are not an object"],
  ["name", "its options are not an object"],
  [["name"], "its options are not an object"],
  [5, "its options are not an object"],
  [{ Name: "x" }, 'unknown option "Name"'],
  [{ constructor: "x" }, 'unknown option "constructor"'],
  [{ name: 5 }, 'option "name" is not a string'],
  [{ name: null }, 'option "name" is not a string'],
  [{ name: "" }, 'option "name" is an empty string'],
  [{ name: " \n" }, 'option "name" is an empty string'],
  [{ flag: "false" }, 'option "flag" is not a boolean'],
  [{ run: {} }, 'option "run" is not a function'],
  [{ more: null }, 'option "more" is not an object'],
];

for (const [options, words] of BAD) {
  Deno.test(`checkCallOptions refuses ${Deno.inspect(options)}`, async () => {
    const run = () => Promise.try(() => checkCallOptions("test", options, TYPES));
    const error = await assertCode(run, "invalid_options", `Cannot test: ${words}. It takes: `);
    assertStringIncludes(error.message, "name, flag, run, extra, more.");
  });
}

Deno.test("Session.clear refuses what it does not know, before anything is touched", async () => {
  await using world = await scriptedWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.calls.length = 0;
  const bad: unknown[] = [null, { revoked: true }, { revoke: "yes" }, { all: true }];
  for (const options of bad) {
    const run = () => session.clear(options as ClearOptions);
    await assertCode(run, "invalid_options", "Cannot clear the session", "It takes: revoke.");
  }
  assertEquals([backend.calls, (await session.status()).signedIn], [[], true]);
});

Deno.test("Session.post refuses what it does not know, before anything is sent", async () => {
  await using world = await scriptedWorld();
  const session = await createSession(world.options);
  const bad: unknown[] = [null, { body: "x" }, { params: "a=1" }, { form: "a" }, { signal: 5 }];
  for (const options of bad) {
    const run = () => session.post("thing", options as PostOptions);
    await assertCode(run, "invalid_options", "Cannot POST", "params, json, form, signal.");
  }
  assertEquals(world.api.requests, []);
});
