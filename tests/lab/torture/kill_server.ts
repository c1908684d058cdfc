import { delay } from "../../../backends/common/promises.ts";
import { Random } from "./random.ts";
import { RefreshRounds } from "./refresh_rounds.ts";
import { SignedIn } from "./signed_in.ts";
import type { StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode killServer}. */
export interface KillServerOptions extends TortureOptions {
  /** A store that has a server. */
  startStore: StartStore;
}

/** Two at a time: one refreshes while the other waits for it. */
const PROCESSES = 2;
/** A refresh takes about that long, from the start of the process's work. */
const LONGEST_MICROSECONDS = 120_000;
const LONGEST_OUTAGE_MS = 300;

/** Kills a store's server at a random moment of each refresh, and starts it again. */
export async function killServer(options: KillServerOptions): Promise<TortureResult> {
  await using store = await options.startStore(options.folder);
  const { server } = store;
  if (server === undefined) throw new Error("Cannot kill the store's server: it has none");
  const random = new Random(options.seed);
  return await SignedIn.run(store, async (signedIn) => {
    const rounds = new RefreshRounds(signedIn, PROCESSES);
    for (let round = 0; round < options.count; round++) {
      await rounds.play(async () => {
        await delay(random.int(0, LONGEST_MICROSECONDS) / 1000);
        await server.kill();
        await delay(random.int(0, LONGEST_OUTAGE_MS));
        await server.restart();
      });
    }
    const name = `a server killed at a random moment in each of ${options.count} refreshes`;
    return { name, ...rounds.result() };
  });
}
