import { assertEquals, assertMatch } from "@std/assert";
import { createSession, startSignIn } from "../../../client/create_session.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";

const SIGNED_IN =
  /^Signed in as \S+\. The token is valid until \d{4}-\S+ \S+ \S+ and stored in .+\.$/;

/** A world where somebody has signed in, and the options of a cell that is run again. */
async function signedInWorld() {
  const world = await scriptedProviderWorld();
  await createSession(world.options);
  const { onDeviceCode: _, ...options } = world.options;
  return { world, options };
}

Deno.test("a notebook that finds a stored sign-in says who is signed in, and until when", async () => {
  const { world, options } = await signedInWorld();
  await using _ = world;
  using kernel = new FakeKernel();
  await createSession(options);
  const [{ type, data } = { type: "", data: {} as Record<string, string> }] = kernel.displays;
  assertEquals([kernel.displays.length, type], [1, "display_data"]);
  assertMatch(data["text/plain"]!, SIGNED_IN);
  assertMatch(data["text/html"]!, />Signed in as \S+\.<.*token is valid until \d{4}-/);
});

Deno.test("so it says after a refresh, and of a sign-in in two steps that is not needed", async () => {
  const { world, options } = await signedInWorld();
  await using _ = world;
  using kernel = new FakeKernel();
  world.clock.advance(7200_000);
  await createSession(options);
  assertEquals(kernel.displays.length, 1);
  await using signIn = await startSignIn(options);
  await signIn.finish();
  assertEquals(kernel.displays.length, 2);
  for (const { data } of kernel.displays) assertMatch(data["text/plain"]!, SIGNED_IN);
});

Deno.test("where a prompt has said it, it is not said again", async () => {
  await using world = await scriptedProviderWorld();
  const { onDeviceCode: _, ...options } = world.options;
  using kernel = new FakeKernel();
  await createSession(options);
  assertEquals(kernel.displays.map(({ type }) => type), ["display_data", "update_display_data"]);
});

const SILENT: [why: string, options: SessionOptions][] = [
  ["interactive is false", { interactive: false }],
  ["the program shows the code itself", { onDeviceCode() {} }],
  ["the program shows the link itself", { onAuthorizationUrl() {} }],
];

for (const [why, more] of SILENT) {
  Deno.test(`a notebook says nothing of a stored sign-in where ${why}`, async () => {
    const { world, options } = await signedInWorld();
    await using _ = world;
    using kernel = new FakeKernel();
    await createSession({ ...options, ...more });
    assertEquals(kernel.displays, []);
  });
}

Deno.test("a kernel that cannot display costs the display of a stored sign-in alone", async () => {
  const { world, options } = await signedInWorld();
  await using _ = world;
  using kernel = new FakeKernel();
  kernel.onDisplay = () => {
    throw new Error("no display");
  };
  const session = await createSession(options);
  assertEquals((await session.status()).signedIn, true);
});
