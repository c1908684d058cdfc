// A sign-out without the lock, at each point of a write that moves an entry to another store.
import { assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import type { OidcCredentials, PutOptions } from "../../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../../support/entries.ts";
import { InterleavedStore, Interleaving, interleavings } from "../../support/interleaved_store.ts";

const NEXT = entry({ refresh_token: "fixture-rotated" });

function isReplaced(stored: OidcCredentials | undefined): boolean {
  return stored?.refresh_token === entry().refresh_token;
}

/** A store that may be too small for the new entry. */
class SmallStore extends InterleavedStore {
  isFull = false;

  override async put(key: string, value: OidcCredentials, options?: PutOptions): Promise<void> {
    if (this.isFull && value.refresh_token === NEXT.refresh_token) {
      this.interleaving.enter("put");
      throw new CredentialsBackendError("backend_too_large", "Cannot write it: it is too large.");
    }
    await super.put(key, value, options);
  }
}

/** Two stores, of which one has the entry, and the next write goes to the other one. */
async function beforeMove(from: "first" | "second") {
  const interleaving = new Interleaving();
  const [first, second] = [new SmallStore(interleaving), new SmallStore(interleaving)];
  const open = (...backends: SmallStore[]) =>
    new FallbackCredentialsBackend({ backends, onFallback: () => {} });
  await open(from === "first" ? first : second).put(KEY, entry());
  first.isFull = from === "first";
  interleaving.calls.length = 0;
  return { interleaving, first, second, backend: open(first, second) };
}

/** The stores in the order in which a sign-out removes the entry from them. */
async function signOutOrder(): Promise<("first" | "second")[]> {
  const { first, second, backend } = await beforeMove("first");
  const order: ("first" | "second")[] = [];
  first.delete = () => Promise.resolve(void order.push("first"));
  second.delete = () => Promise.resolve(void order.push("second"));
  await backend.delete(KEY);
  return order;
}

for (const from of ["first", "second"] as const) {
  Deno.test(`an entry moves from the ${from} store where nobody else changes it`, async () => {
    const { first, second, backend } = await beforeMove(from);
    await backend.put(KEY, NEXT, { isReplaced });
    assertEquals([first, second].map(({ rows }) => rows.size), from === "first" ? [0, 1] : [1, 0]);
    assertEquals(await backend.get(KEY), NEXT);
  });

  Deno.test(`a sign-out while an entry moves from the ${from} store is not undone`, async () => {
    const order = await signOutOrder();
    for (const calls of interleavings(order.length, 10)) {
      const { interleaving, first, second, backend } = await beforeMove(from);
      for (const [index, call] of calls.entries()) {
        const store = order[index] === "first" ? first : second;
        interleaving.at(call, () => store.rows.delete(KEY));
      }
      await backend.put(KEY, NEXT, { isReplaced });
      interleaving.finish();
      assertEquals([first, second].map(({ rows }) => rows.size), [0, 0], `before ${calls}`);
    }
  });
}

Deno.test("a sign-out while no store takes the new entry is not undone", async () => {
  const order = await signOutOrder();
  for (const calls of interleavings(order.length, 8)) {
    const { interleaving, first, second, backend } = await beforeMove("first");
    second.isFull = true;
    for (const [index, call] of calls.entries()) {
      const store = order[index] === "first" ? first : second;
      interleaving.at(call, () => store.rows.delete(KEY));
    }
    await backend.put(KEY, NEXT, { isReplaced }).catch((error) => {
      assertEquals(error.code, "backend_too_large");
    });
    interleaving.finish();
    assertEquals([first, second].map(({ rows }) => rows.size), [0, 0], `before ${calls}`);
  }
});

Deno.test("a new sign-in while an entry moves is kept, in whichever store it is", async () => {
  const other = entry({ refresh_token: "fixture-other" });
  for (const from of ["first", "second"] as const) {
    for (const into of ["first", "second"] as const) {
      const prepared = await beforeMove(into);
      await prepared.backend.put(KEY, other);
      const row = [prepared.first, prepared.second].flatMap(({ rows }) => rows.get(KEY) ?? [])[0]!;
      for (let call = 0; call < 10; call++) {
        const world = await beforeMove(from);
        world.interleaving.at(call, () => {
          world.first.rows.clear();
          world.second.rows.clear();
          world[into].rows.set(KEY, row);
        });
        await world.backend.put(KEY, NEXT, { isReplaced });
        world.interleaving.finish();
        // No store compares and removes in one step. A session signs in under the lock.
        if (from === into && world.interleaving.calls[call] === "delete") continue;
        const name = `from ${from}, into ${into}, before ${call}`;
        assertEquals(await world.backend.get(KEY), other, name);
      }
    }
  }
});

Deno.test("an entry stays where it moved to when its former store falls silent", async () => {
  const { interleaving, second, backend } = await beforeMove("second");
  const get = second.get.bind(second);
  second.get = async (key) => {
    const isLast = interleaving.calls.filter((method) => method === "put").length === 2;
    if (isLast) throw new CredentialsBackendError("backend_unavailable", "Cannot reach it: no.");
    return await get(key);
  };
  await backend.put(KEY, NEXT, { isReplaced });
  second.get = get;
  assertEquals(await backend.get(KEY), NEXT);
});
