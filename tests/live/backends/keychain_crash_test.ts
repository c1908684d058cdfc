// Writers that are killed at random moments, against a real GNOME Keyring.
import { assert, assertEquals } from "@std/assert";
import { ALL, startDeno } from "../../support/deno_process.ts";
import { type KeyringSession, startKeyringSession } from "../../support/servers/keyring_session.ts";
import { Random } from "../../lab/torture/random.ts";
import { inSession, runInSession } from "../../backends/keychain/session.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("keyring");

const ROUNDS = 25;
const SEED = 20_260_507;

/** Writes entries of many sizes over one another, for ever: in one piece and in up to 40 chunks. */
const WRITER = inSession(`
  const { store } = openSmall(100);
  for (let count = 0;; count++) {
    const fill = "f".repeat((count * 977) % 4000);
    await store.put("k", entry("writer", { count, fill }));
    if (count === 0) console.log("writing");
  }
`);

/** What is there after a crash, and what the next write leaves of it. */
const READER = `
  const { store, client } = openSmall(100);
  const found = await store.get("k");
  const isWhole = found.fill.length === (found.count * 977) % 4000 && found.client_id === "writer";
  const before = (await client.find()).size;
  await store.put("k", entry("reader"));
  const after = (await client.find()).size;
  console.log(JSON.stringify({ isWhole, before, after }));
`;

live.test("a writer killed at any moment leaves a whole entry, and the next write tidies up", async () => {
  const random = new Random(SEED);
  const leftovers: number[] = [];
  for (let round = 0, crashes = 0; round < ROUNDS;) {
    await using session = await startKeyringSession();
    try {
      for (; round < ROUNDS; round++) leftovers.push(await runRound(session, random, round));
    } catch (error) {
      // GNOME Keyring 42 itself dies now and then of a client that is killed, and may lose what it was
      // writing: that is no fault of the chunks, and the round is run again with another one.
      await session.run(["true"]);
      if (!session.hasCrashed || ++crashes > ROUNDS / 2) throw error;
    }
  }
  assert(Math.max(...leftovers) > 2, `no writer was killed among its chunks: ${leftovers}`);
});

/** Kills a writer, looks at what it left, and tells how many accounts that were. */
async function runRound(session: KeyringSession, random: Random, round: number): Promise<number> {
  await writeAndKill(session, random.int(0, 150));
  const { isWhole, before, after } = await readOnce(session);
  assert(isWhole, `round ${round}: the entry is not whole`);
  assertEquals(after, 1, `round ${round}: something was left`);
  return before;
}

async function readOnce(session: KeyringSession) {
  return await runInSession(session, READER) as {
    isWhole: boolean;
    before: number;
    after: number;
  };
}

async function writeAndKill(session: KeyringSession, afterMs: number): Promise<void> {
  await using writer = startDeno({ code: WRITER, flags: ALL, env: session.env });
  assertEquals(await writer.line(), "writing");
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await writer.kill();
}
