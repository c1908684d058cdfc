import { untilAborted } from "../../backends/common/promises.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import type { TokenSet } from "../entry/bearer.ts";
import { singleFlight, takeTurn } from "./flights.ts";
import { loadDialog } from "./load_provider.ts";
import type { RenewalContext } from "./renewal_context.ts";

/**
 * Asks the person, or joins another session of this process that is asking already.
 *
 * @param rejected A bearer that does not serve, if another program has stored it.
 */
export async function ask(
  context: RenewalContext,
  rejected: string | undefined,
  signal?: AbortSignal,
): Promise<OidcCredentials> {
  const { store, options: { identity, bearer, runtime } } = context;
  return await singleFlight(
    store.shared.flights,
    // A call for another scope or bearer does not join, since the answer would not serve it.
    `login ${bearer} ${identity.scope} ${store.key}`,
    (ended) => askAlone(context, rejected, ended),
    signal,
    () => runtime.emit?.({ type: "sign_in_joined" }),
  );
}

/** Proves the store and asks the person. `signal` aborts when nobody waits any more. */
async function askAlone(
  context: RenewalContext,
  rejected: string | undefined,
  signal: AbortSignal,
): Promise<OidcCredentials> {
  const { store, use, options } = context;
  const prove = async () => {
    await store.probe();
    return await store.read();
  };
  const before = await untilAborted(takeTurn(store, prove, { signal }, options), signal);
  const [provider, { askPerson }] = await Promise.all([context.openProvider(), loadDialog()]);
  return await askPerson(provider, {
    runtime: options.runtime,
    ask: options.ask!,
    backend: store.backend,
    signal,
    async save(tokens: TokenSet) {
      const entry = context.entryOf(tokens);
      await store.saveNew(entry, before);
      context.reportStored(entry);
      return entry;
    },
    look: async () => await use.freshIn(await store.peek(), rejected),
    bearerIn: (entry) => use.bearerIn(entry),
  });
}
