import { assertEquals, assertRejects } from "@std/assert";
import { createSession, type StartedSignIn, startSignIn } from "../../../mod.ts";
import type { AuthorizationPrompt } from "../../../mod.ts";
import { browserOptions } from "../../support/browser_flow.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";
import { oidcProviderWorld, type ProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Starts a sign-in whose link nobody is shown. */
async function start(
  world: ProviderWorld<TestOidcProvider>,
): Promise<{ signIn: StartedSignIn; prompt: AuthorizationPrompt }> {
  const shown = Promise.withResolvers<AuthorizationPrompt>();
  const signIn = await startSignIn({
    ...browserOptions(world),
    onAuthorizationUrl: shown.resolve,
  });
  return { signIn, prompt: await shown.promise };
}

Deno.test("two steps: the second one hands in the address, and gets the session", async () => {
  await using world = await oidcProviderWorld();
  const { signIn, prompt } = await start(world);
  await using _ = signIn;
  assertEquals([signIn.url, signIn.expiresAt], [prompt.url, prompt.expiresAt]);
  await rejectsWith("address_refused", () => signIn.finish("http://127.0.0.1/callback"));
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  await using session = await signIn.finish(url);
  assertEquals((await session.status()).signedIn, true);
  await rejectsWith("address_refused", () => signIn.finish(url), "counts once");
});

Deno.test("two steps: a browser that comes here by itself needs no address", async () => {
  await using world = await oidcProviderWorld();
  const { signIn, prompt } = await start(world);
  await using _ = signIn;
  await world.provider.follow(prompt.url);
  await using session = await signIn.finish();
  assertEquals((await session.status()).signedIn, true);
});

Deno.test("two steps: a stored sign-in serves, and nobody is asked", async () => {
  await using world = await oidcProviderWorld();
  await (await createSession(world.options)).close();
  const onAuthorizationUrl = () => {
    throw new Error("asked");
  };
  await using signIn = await startSignIn({ ...browserOptions(world), onAuthorizationUrl });
  assertEquals([signIn.url, signIn.expiresAt], [undefined, undefined]);
  await using session = await signIn.finish();
  assertEquals((await session.status()).signedIn, true);
});

Deno.test("two steps: a sign-in that is given up listens no more, and its end is an error", async () => {
  await using world = await oidcProviderWorld();
  const { signIn, prompt } = await start(world);
  await signIn[Symbol.asyncDispose]();
  await assertRejects(() => signIn.finish(), DOMException, "given up");
  assertEquals(await fetch(prompt.redirectUri).catch((error) => error.name), "TypeError");
});

Deno.test("two steps: an address that comes too late gets the error of the sign-in", async () => {
  await using world = await oidcProviderWorld();
  const { signIn, prompt } = await start(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  await signIn[Symbol.asyncDispose]();
  await assertRejects(() => signIn.finish(url), DOMException, "given up");
});

Deno.test("two steps: an error before the link is the first step's", async () => {
  await using world = await oidcProviderWorld();
  const options = { ...browserOptions(world), interactive: false };
  await rejectsWith("login_required", () => startSignIn(options));
  await rejectsWith("invalid_options", () => startSignIn({ ...options, listen: "0.0.0.0:80" }));
  for (const flow of ["device", "client_credentials"] as const) {
    await rejectsWith("invalid_options", () => startSignIn({ ...options, flow }), flow);
  }
});
