import { type NetworkFault, startFaultyProxy } from "../../support/faulty_proxy.ts";
import { Random } from "./random.ts";
import { RefreshRounds } from "./refresh_rounds.ts";
import { SignedIn } from "./signed_in.ts";
import type { StartStore, Store } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode faultNetwork}. */
export interface FaultNetworkOptions extends TortureOptions {
  /** A store that has a server. */
  startStore: StartStore;
  /** How many processes refresh at once. */
  processes: number;
}

/** As likely as each other; one request of four meets one. */
const FAULTS: readonly NetworkFault[] = ["cut before", "answer lost", "answer cut", "answer late"];
const NO_FAULT_OF_FOUR = 3;

/** Refreshes through a network that cuts connections, loses answers and delays them. */
export async function faultNetwork(options: FaultNetworkOptions): Promise<TortureResult> {
  const { count, processes } = options;
  await using store = await options.startStore(options.folder);
  if (store.server === undefined) throw new Error("Cannot fault the network: there is none");
  const { origin, port } = new URL(store.server.url);
  await using proxy = startFaultyProxy(() => Number(port));
  const random = new Random(options.seed);
  const choose = () => {
    const isFault = random.int(0, NO_FAULT_OF_FOUR) === 0;
    return isFault ? FAULTS[random.int(0, FAULTS.length - 1)]! : "none";
  };
  return await SignedIn.run(redirected(store, origin, proxy.address), async (signedIn) => {
    const rounds = new RefreshRounds(signedIn, processes);
    for (let round = 0; round < count; round++) {
      await rounds.play(async (ended) => {
        proxy.choose = choose;
        await ended;
        proxy.choose = () => "none";
      });
    }
    const { figures, failures } = rounds.result();
    const faults = FAULTS.map((fault) => `${fault} ${proxy.met[fault]}×`).join(", ");
    const name = `${count} rounds of ${processes} processes behind a faulty network`;
    return { name, figures: { ...figures, faults }, failures };
  });
}

/** The store with another address in its variables. */
function redirected(store: Store, origin: string, address: string): Store {
  const env = Object.fromEntries(
    Object.entries(store.env)
      .map(([name, value]) => [name, value.replaceAll(origin, `http://${address}`)]),
  );
  return { ...store, env };
}
