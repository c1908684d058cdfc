// Writers that are killed at random moments, against a real GNOME Keyring.
import { assert, assertEquals } from "@std/assert";
import { findDenoDir } from "../support/run_script.ts";
import { type KeyringSession, startKeyringSession } from "../support/servers/keyring_session.ts";
import { Random } from "../torture/random.ts";
import { startChild } from "./child.ts";
import { inSession, runInSession } from "./keychain_session.ts";

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

Deno.test("a writer killed at any moment leaves a whole entry, and the next write tidies up", async () => {
  await using session = await startKeyringSession();
  const random = new Random(SEED);
  const leftovers: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await writeAndKill(session, random.int(0, 150));
    const { isWhole, before, after } = await runInSession(session, READER) as {
      isWhole: boolean;
      before: number;
      after: number;
    };
    assert(isWhole, `round ${round}: the entry is not whole`);
    assertEquals(after, 1, `round ${round}: something was left`);
    leftovers.push(before);
  }
  assert(Math.max(...leftovers) > 2, `no writer was killed among its chunks: ${leftovers}`);
});

async function writeAndKill(session: KeyringSession, afterMs: number): Promise<void> {
  const env = { ...session.env, DENO_DIR: await findDenoDir() };
  await using writer = await startChild(WRITER, env);
  assertEquals(await writer.line(), "writing");
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await writer.kill();
}
