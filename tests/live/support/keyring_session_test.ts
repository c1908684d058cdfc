import { assertEquals, assertStringIncludes } from "@std/assert";
import { type KeyringSession, startKeyringSession } from "../../support/servers/keyring_session.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("keyring");

const ATTRIBUTES = ["service", "test"];

function store(session: KeyringSession) {
  return session.run(["secret-tool", "store", "--label=test", ...ATTRIBUTES], { stdin: "kept" });
}

live.test("an unlocked keyring keeps a secret", async () => {
  await using session = await startKeyringSession();
  assertEquals((await store(session)).code, 0);
  assertEquals((await session.run(["secret-tool", "lookup", ...ATTRIBUTES])).stdout, "kept");
});

live.test("a keyring that is locked later gives nothing any more", async () => {
  await using session = await startKeyringSession();
  await store(session);
  await session.lock();
  assertEquals((await session.run(["secret-tool", "lookup", ...ATTRIBUTES])).stdout, "");
});

live.test("a locked keyring, no keyring and no D-Bus are told apart", async () => {
  const complaints = {
    locked: "locked collection",
    absent: "was not provided",
    "no-bus": "autolaunch D-Bus",
  } as const;
  for (const state of ["locked", "absent", "no-bus"] as const) {
    await using session = await startKeyringSession({ state });
    const { code, stderr } = await store(session);
    assertEquals(code, 1);
    assertStringIncludes(stderr, complaints[state]);
  }
});
