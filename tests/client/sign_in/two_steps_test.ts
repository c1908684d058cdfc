import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import * as vm from "../../../mod.ts";
import { type AuthorizationPrompt, createSession, startSignIn } from "../../../mod.ts";
import { browserOptions } from "../../support/browser_flow.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnEnv } from "../../support/own_env.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";
import { oidcProviderWorld, type ProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { tempDir } from "../../support/temp_home.ts";

/** Starts a sign-in whose link nobody is shown. */
async function start(world: ProviderWorld<TestOidcProvider>) {
  const shown = Promise.withResolvers<AuthorizationPrompt>();
  using kernel = new FakeKernel();
  const signIn = await startSignIn({
    ...browserOptions(world),
    onAuthorizationUrl: shown.resolve,
  });
  assertEquals(kernel.displays, []);
  return { signIn, prompt: await shown.promise };
}

for (const way of ["an address that is handed in", "a browser that comes here by itself"]) {
  test.real(`two steps: the second one gets the session by ${way}`, async (world) => {
    const { signIn, prompt } = await start(world);
    await using _ = signIn;
    assertEquals([signIn.url, signIn.expiresAt], [prompt.url, prompt.expiresAt]);
    await rejectsWith("address_refused", () => signIn.finish("http://127.0.0.1/callback"));
    const stopAt = way.startsWith("an address") ? { stopAt: prompt.redirectUri } : {};
    const { url } = await world.provider.follow(prompt.url, stopAt);
    const { search } = new URL(url); // which is enough
    await using session = await signIn.finish(...way.startsWith("an address") ? [search] : []);
    assertEquals((await session.status()).signedIn, true);
    assertEquals(await signIn.finish(url), session); // again
  });
}

test.real("two steps: a notebook shows the page, and the end in its place", async (world) => {
  using kernel = new FakeKernel();
  await using signIn = await startSignIn(browserOptions(world));
  assertStringIncludes(kernel.displays[0]!.data["text/plain"]!, signIn.url!);
  await world.provider.follow(signIn.url!);
  await (await signIn.finish()).close();
  const types = kernel.displays.map(({ type }) => type);
  assertEquals(types, ["display_data", "update_display_data"]);
  assertMatch(kernel.displays[1]!.data["text/plain"]!, /^Signed in as /);
});

test.real("two steps: a stored sign-in serves, and nobody is asked", async (world) => {
  await (await createSession(world.options)).close();
  const onAuthorizationUrl = () => {
    throw new Error("asked");
  };
  await using signIn = await startSignIn({ ...browserOptions(world), onAuthorizationUrl });
  assertEquals([signIn.url, signIn.expiresAt], [undefined, undefined]);
  await using session = await signIn.finish();
  assertEquals((await session.status()).signedIn, true);
});

test.real("two steps: a sign-in that is given up listens no more, and its end is an error", async (world) => {
  const { signIn, prompt } = await start(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  await signIn[Symbol.asyncDispose]();
  await assertRejects(() => signIn.finish(), DOMException, "given up");
  await assertRejects(() => signIn.finish(url), DOMException, "given up");
  assertEquals(await fetch(prompt.redirectUri).catch((error) => error.name), "TypeError");
});

test.real("two steps: an error before the link is the first step's", async (world) => {
  const options = { ...browserOptions(world), interactive: false };
  await rejectsWith("login_required", () => startSignIn(options));
  await rejectsWith("invalid_options", () => startSignIn({ ...options, listen: "0.0.0.0:80" }));
  for (const flow of ["device", "client_credentials"] as const) {
    await rejectsWith("invalid_options", () => startSignIn({ ...options, flow }), flow);
  }
});

Deno.test("two steps: the cells that a waiting cell names work word for word", async () => {
  await using home = await tempDir();
  await using world = await oidcProviderWorld();
  const { issuer, clientId } = world.options;
  using _env = new OwnEnv({
    HOME: home.path,
    VM_OIDC_ISSUER: issuer!,
    VM_OIDC_CLIENT_ID: clientId!,
  });
  using kernel = new FakeKernel();
  const interrupt = new AbortController();
  const { signal } = interrupt;
  const cell = createSession({ ...browserOptions(world), signal }).catch(() => undefined);
  while (kernel.displays.length === 0) await new Promise((resolve) => setTimeout(resolve));
  const shown = kernel.displays[0]!.data["text/plain"]!;
  const [first, second] = [...shown.matchAll(/`(const [^`]+)`/g)].map(([, code]) => code!);
  interrupt.abort();
  await cell;

  const run = (code: string, scope: object) => {
    const body =
      `return (async () => { ${code}; return typeof session === "object" ? session : signIn; })()`;
    return new Function(...Object.keys(scope), body)(...Object.values(scope));
  };
  await using signIn = await run(first!.replace("const signIn =", "signIn ="), {
    vm,
    signIn: 0,
    session: 0,
  });
  const { redirectUri } = { redirectUri: new URL(signIn.url).searchParams.get("redirect_uri")! };
  const { url } = await world.provider.follow(signIn.url, { stopAt: redirectUri });
  const cells = second!.replace("<address of the last page>", url).replace(
    "const session =",
    "session =",
  );
  await using session = await run(cells, { vm, signIn, session: 0 });
  assertEquals((await session.status()).signedIn, true);
});
