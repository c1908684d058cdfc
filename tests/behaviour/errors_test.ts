import { assert, assertEquals } from "@std/assert";
import { readSource, sourceFiles } from "../support/rooms.ts";

/** The code and the beginning of the message, where both are written out. */
const MADE =
  /new (?:ValidMindAuthError|CredentialsBackendError|ProviderUnavailableError)\(\s*(?:"\w+",\s*)?["`]([^"`]*)/g;

Deno.test("errors: each message in the source says first what could not be done", async () => {
  const others: string[] = [];
  let count = 0;
  for (const file of await sourceFiles()) {
    for (const [, message] of (await readSource(file)).matchAll(MADE)) {
      if (/^[a-z_]+$/.test(message!)) continue; // a code; the message is made elsewhere
      count++;
      // One that is passed on, or made from the parts of another, begins with those.
      if (!/^(Cannot |\$\{)/.test(message!)) others.push(`${file}: ${message}`);
    }
  }
  assertEquals(others, []);
  assert(count > 80, `${count} messages`);
});
