// Others change the entry while a plain one is taken over, or an encrypted one is sealed anew.
import { assertEquals } from "@std/assert";
import type { OidcCredentials, PutOptions } from "../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { encrypted, FIRST, SECOND } from "./encrypted/encrypted_world.ts";

const NEXT = entry({ refresh_token: "fixture-rotated" });
const OTHER_GRANT = entry({ refresh_token: "fixture-other" });
const ROW = `encrypted|${KEY}`;

/** A store with a list, whose rows others may change before its n-th call. */
class SharedStore extends SpyBackend {
  /** What others do, by the number of the call that it precedes. */
  readonly others = new Map<number, (() => void)[]>();

  override before = () => this.do(this.calls.length - 1);

  override put(key: string, entry: OidcCredentials, options: PutOptions = {}): Promise<void> {
    const { isReplaced } = options;
    const row = structuredClone(entry);
    this.calls.push("put");
    this.before();
    if (isReplaced?.(this.rows.get(key)) !== false) this.rows.set(key, row);
    return Promise.resolve();
  }

  do(call: number): void {
    for (const change of this.others.get(call) ?? []) change();
    this.others.delete(call);
  }

  at(call: number, change: () => void): void {
    this.others.set(call, [...this.others.get(call) ?? [], change]);
  }

  /** What is left to do, after the last call. */
  finish(): void {
    for (const call of [...this.others.keys()].sort()) this.do(call);
  }

  async *list(): AsyncGenerator<string> {
    yield* [...this.rows.keys()];
  }
}

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
  const store = new SharedStore();
  store.rows.set(KEY, entry());
  return { store, backend: encrypted(store, { plain: "read" }) };
}

Deno.test("a sign-out while a plain entry is taken over is not undone, wherever it comes between", async () => {
  const [first, second] = await signOutOrder();
  for (let one = 0; one < CALLS; one++) {
    for (let other = one; other < CALLS; other++) {
      const { store, backend } = takeover();
      store.at(one, () => store.rows.delete(first!));
      store.at(other, () => store.rows.delete(second!));
      await backend.put(KEY, NEXT, { isReplaced });
      store.finish();
      assertEquals([...store.rows.keys()], [], `before calls ${one} and ${other}`);
    }
  }
});

Deno.test("a plain sign-in while a plain entry is taken over stays, wherever it comes before the end", async () => {
  for (let call = 0; call < CALLS; call++) {
    const { store, backend } = takeover();
    store.at(call, () => store.rows.set(KEY, OTHER_GRANT));
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

Deno.test("a read while another process takes over the plain entry finds it", async () => {
  const { store, backend } = takeover();
  const copy = new SharedStore();
  await encrypted(copy).put(KEY, NEXT);
  for (let call = 0; call < 3; call++) {
    store.rows.clear();
    store.rows.set(KEY, entry());
    store.calls.length = 0;
    store.at(call, () => {
      store.rows.delete(KEY);
      store.rows.set(ROW, copy.rows.get(ROW)!);
    });
    const found = await backend.get(KEY);
    store.finish();
    assertEquals(found, call < 2 ? NEXT : entry(), `before call ${call}`);
  }
});

Deno.test("rotate() undoes no sign-out that got no lock, and loses no refresh", async () => {
  const other = new SharedStore();
  await encrypted(other, { key: SECOND }).put(KEY, NEXT);
  for (const isPlain of [false, true]) {
    for (const isSignOut of [true, false]) {
      for (let call = 0; call < 12; call++) {
        const store = new SharedStore();
        if (isPlain) store.rows.set(KEY, entry());
        else await encrypted(store, { key: SECOND }).put(KEY, entry());
        store.calls.length = 0;
        store.at(call, () => {
          store.rows.clear();
          if (!isSignOut) store.rows.set(ROW, other.rows.get(ROW)!);
        });
        const { resealed } = await encrypted(store, { olderKeys: [SECOND], plain: "read" })
          .rotate();
        store.finish();
        const name = `${isSignOut ? "sign-out" : "refresh"} before call ${call}, plain: ${isPlain}`;
        const now = await encrypted(store, { olderKeys: [SECOND] }).get(KEY);
        assertEquals(now, isSignOut ? undefined : NEXT, name);
        if (call > store.calls.indexOf("put")) continue;
        // The change was seen in time: the refreshed entry is encrypted anew in place of the former.
        assertEquals(resealed, isSignOut ? [] : [KEY], name);
        assertEquals(await encrypted(store, { key: FIRST }).get(KEY), now, name);
      }
    }
  }
});

Deno.test("rotate() gives up on an entry that others keep changing, with an error", async () => {
  const store = new SharedStore();
  let reads = 0;
  store.before = () => void store.rows.set(KEY, entry({ x_reads: reads++ }));
  store.before();
  await rejectsWith("backend_locked", () => encrypted(store, { plain: "read" }).rotate());
  assertEquals([...store.rows.keys()], [KEY]);
});
