// Others change the entry while a plain one is taken over, or an encrypted one is sealed anew.
import { assertEquals } from "@std/assert";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../support/entries.ts";
import { InterleavedStore, interleavings } from "../support/interleaved_store.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { encrypted } from "./encrypted/encrypted_world.ts";

const NEXT = entry({ refresh_token: "fixture-rotated" });
const OTHER_GRANT = entry({ refresh_token: "fixture-other" });
const ROW = `encrypted|${KEY}`;

/** The rows in the order in which a sign-out removes them. */
async function signOutOrder(): Promise<string[]> {
  const store = new SpyBackend();
  const removed: string[] = [];
  store.before = (_method, key) => void removed.push(key);
  await encrypted(store, { plain: "read" }).delete(KEY);
  return removed;
}

function isReplaced(stored: OidcCredentials | undefined): boolean {
  return stored?.refresh_token === entry().refresh_token;
}

/** As many calls as a takeover makes at most. */
const CALLS = 8;

/** A store with a plain entry, and the backend that takes it over. */
function takeover() {
  const store = new InterleavedStore();
  store.rows.set(KEY, entry());
  return { store, backend: encrypted(store, { plain: "read" }) };
}

Deno.test("a sign-out while a plain entry is taken over is not undone, wherever it comes between", async () => {
  const removed = await signOutOrder();
  for (const calls of interleavings(removed.length, CALLS)) {
    const { store, backend } = takeover();
    for (const [index, call] of calls.entries()) {
      store.interleaving.at(call, () => store.rows.delete(removed[index]!));
    }
    await backend.put(KEY, NEXT, { isReplaced });
    store.interleaving.finish();
    assertEquals([...store.rows.keys()], [], `before calls ${calls}`);
  }
});

Deno.test("a plain sign-in while a plain entry is taken over stays, wherever it comes before the end", async () => {
  for (let call = 0; call < CALLS; call++) {
    const { store, backend } = takeover();
    store.interleaving.at(call, () => store.rows.set(KEY, OTHER_GRANT));
    await backend.put(KEY, NEXT, { isReplaced });
    const wasTaken = store.rows.has(ROW);
    if (wasTaken) assertEquals(await backend.get(KEY), NEXT);
    else assertEquals(await backend.get(KEY), OTHER_GRANT, `before call ${call}`);
    // Only a plain sign-in after the last look comes too late: the encrypted row counts from then on.
    assertEquals(wasTaken, call > 3, `before call ${call}`);
  }
});

Deno.test("a plain entry that nobody else changes is taken over", async () => {
  const { store, backend } = takeover();
  await backend.put(KEY, NEXT, { isReplaced });
  assertEquals([...store.rows.keys()], [ROW]);
  assertEquals(await backend.get(KEY), NEXT);
});
