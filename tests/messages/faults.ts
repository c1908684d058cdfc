import type { MessageRow } from "./message_row.ts";
import { OF_API, OF_NETWORK } from "./network_faults.ts";
import { OF_CLIENT, OF_SIGN_IN } from "./provider_faults.ts";
import { OF_STORE } from "./store_faults.ts";

/** Faults of a provider, a network, an API and a store, none of which the person has made. */
export const FAULTS: readonly MessageRow[] = [
  ...OF_CLIENT,
  ...OF_SIGN_IN,
  ...OF_NETWORK,
  ...OF_API,
  ...OF_STORE,
];
