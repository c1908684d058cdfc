import { assertEquals, assertStringIncludes } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { createSession } from "../../../client/create_session.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Runs with another standard error, which gets each text with the number of the write. */
async function withStderr<T>(
  write: (text: string, count: number) => void | Promise<void>,
  run: () => Promise<T>,
): Promise<T> {
  const { stderr } = Deno;
  let count = 0;
  const fake = async (bytes: Uint8Array) => {
    await write(new TextDecoder().decode(bytes), ++count);
    return bytes.length;
  };
  const original = Object.getOwnPropertyDescriptor(stderr, "write");
  Object.defineProperty(stderr, "write", { value: fake, configurable: true });
  try {
    return await run();
  } finally {
    if (original === undefined) Reflect.deleteProperty(stderr, "write");
    else Object.defineProperty(stderr, "write", original);
  }
}

/** With the built-in prompt. */
function prompting(world: ProviderWorld<ScriptedProvider>, backend: SpyBackend): SessionOptions {
  const { onDeviceCode: _, ...options } = world.options;
  return { ...options, credentialsBackend: backend };
}

Deno.test("announce: the success is told once the tokens are stored", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const texts: string[] = [];
  await withStderr((text) => {
    texts.push(text);
    assertEquals(backend.rows.has(world.key), text.startsWith("Signed in"));
  }, () => createSession(prompting(world, backend)));
  assertEquals(texts.length, 2);
  assertStringIncludes(
    texts[1]!,
    "and stored in SpyBackend.",
  );
  assertNoSecret(texts.join(), tokensOf(backend.rows.get(world.key)!));
});

Deno.test("announce: a prompt that nobody can see ends the sign-in", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.autoApprove = false;
  const backend = new SpyBackend();
  const broken = () => {
    throw new Deno.errors.BrokenPipe("closed");
  };
  await withStderr(
    broken,
    () => rejectsWith("prompt_failed", () => createSession(prompting(world, backend))),
  );
  assertEquals(backend.rows.size, 0);
});

Deno.test("announce: no success is told where the tokens could not be stored", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  backend.before = (method, key) => {
    if (method === "put" && key === world.key) {
      throw new CredentialsBackendError("backend_full", "Cannot write: no space.");
    }
  };
  const texts: string[] = [];
  const run = () => createSession(prompting(world, backend));
  await withStderr(
    (text) => void texts.push(text),
    () => rejectsWith("credentials_not_stored", run, "no space"),
  );
  assertEquals(texts.some((text) => text.startsWith("Signed in")), false);
});
