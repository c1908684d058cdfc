import { assertEquals, assertMatch } from "@std/assert";
import { createSession, startSignIn } from "../../../client/create_session.ts";
import type { SessionOptions } from "../../../client/session_options.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { test } from "../../support/provider_world.ts";

const SIGNED_IN =
  /^Signed in as \S+\. The token is valid until \d{4}-\S+ \S+ \S+ and stored in .+\.$/;

test("a notebook says who is signed in where nobody was asked, and until when", async (world) => {
  const { onDeviceCode: _, ...options } = world.options;
  using kernel = new FakeKernel();
  await createSession(options);
  // The prompt has said it, so it is not said again.
  assertEquals(kernel.displays.map(({ type }) => type), ["display_data", "update_display_data"]);
  assertMatch(kernel.displays[0]!.data["text/html"]!, /Check that the page shows this code/);
  kernel.displays.length = 0;
  await createSession(options);
  assertMatch(
    kernel.displays[0]!.data["text/html"]!,
    />Signed in as \S+\.<.*token is valid until \d/,
  );
  world.clock.advance(7200_000);
  await createSession(options); // after a refresh
  await using signIn = await startSignIn(options); // and of a sign-in in two steps
  await signIn.finish();
  assertEquals(kernel.displays.map(({ type }) => type), Array(3).fill("display_data"));
  for (const { data } of kernel.displays) assertMatch(data["text/plain"]!, SIGNED_IN);
});

const SILENT: SessionOptions[] = [
  { interactive: false },
  { onDeviceCode() {} },
  { onAuthorizationUrl() {} },
];

test("a notebook says nothing where nobody is to be asked, or the program shows all itself", async (world) => {
  await createSession(world.options);
  const { onDeviceCode: _, ...options } = world.options;
  using kernel = new FakeKernel();
  for (const more of SILENT) await createSession({ ...options, ...more });
  assertEquals(kernel.displays, []);
  kernel.onDisplay = () => {
    throw new Error("no display"); // which costs the display alone
  };
  const session = await createSession(options);
  assertEquals((await session.status()).signedIn, true);
});
