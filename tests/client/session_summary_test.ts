import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { init } from "../../client/init.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { scriptedWorld, tokensOf } from "./fixtures.ts";

const DISPLAY = Symbol.for("Jupyter.display");

/** What a notebook shows for a value in the last line of a cell. */
async function display(value: object): Promise<Record<string, string>> {
  return await (value as { [DISPLAY]: () => Promise<Record<string, string>> })[DISPLAY]();
}

Deno.test("session: printed, it tells who, where and until when, and nothing that is empty", async () => {
  await using world = await scriptedWorld();
  const session = await init({ ...world.options, model: "cl123" });
  const expiresAt = Deno.inspect(new Date(world.clock.now() + 3600_000));
  assertEquals(
    Deno.inspect(session),
    `Session {
  signedIn: "analyst@example.com",
  issuer: "${world.provider.issuer}",
  apiHost: "${world.api.apiHost}",
  model: "cl123",
  backend: "MemoryCredentialsBackend: the memory of this process",
  validUntil: ${expiresAt}
}`,
  );
  await session.clear();
  assertStringIncludes(Deno.inspect(session), "signedIn: false");
});

Deno.test("session: in a notebook the same is shown, as text and as HTML, without a token", async () => {
  await using world = await scriptedWorld();
  const id_token = await world.provider.idToken({ email: "<b>ada\u202e@example.com" });
  world.provider.script.token.push(() => world.provider.tokens({ id_token }));
  const session = await init({ ...world.options, model: "<i>m" });
  const shown = await display(session);
  assertEquals(Object.keys(shown), ["text/plain", "text/html"]);
  assertEquals(shown["text/plain"], Deno.inspect(session));
  const html = shown["text/html"]!;
  for (const text of ["&#60;b&#62;ada @example.com", "&#60;i&#62;m", world.api.apiHost]) {
    assertStringIncludes(html, text);
  }
  assertEquals(/<(?!\/?(style|div|span|p|strong)\b)/.test(html), false);
  assertNoSecret(shown, tokensOf(world.stored()));
  await session.clear();
  assertStringIncludes((await display(session))["text/html"]!, "Not signed in");
});

Deno.test("session: with an API key it shows that, and no key", async () => {
  const key = { apiKey: "key-of-somebody", apiSecret: "secret-of-somebody" };
  const session = await createSession({ ...key, apiHost: "http://localhost:1/" });
  assertEquals(
    Deno.inspect(session),
    `Session { apiKey: true, apiHost: "http://localhost:1/" }`,
  );
  const shown = await display(session);
  assertStringIncludes(shown["text/html"]!, "With an API key");
  assertNoSecret(shown, [key.apiKey.slice(3), key.apiSecret.slice(6)]);
});
