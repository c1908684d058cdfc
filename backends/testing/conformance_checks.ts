import { sameJson } from "../common/json.ts";
import { delay, within } from "../common/promises.ts";
import { writeError } from "../common/runtime.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "../oidc_credentials_backend.ts";
import { changeTogether, type SharedStore } from "./several_processes.ts";

/** Means of a check. */
interface ConformanceContext {
  /** A handle on the store, or for the check that needs it on a store that cannot be read. */
  backend: OidcCredentialsBackend;
  /** A key of this check alone, removed after it. */
  name: string;
  /** A further handle on the store, or the same where the store is this process's alone. */
  open(): Promise<OidcCredentialsBackend>;
  /** A further key. Those of one check begin alike. */
  key(suffix?: string): string;
  /** Longest wait for something that has to happen at once, in milliseconds. */
  patienceMs: number;
  /** The store for further processes. */
  processes?: SharedStore;
  /** The store of another person. */
  another?: OidcCredentialsBackend;
  /** The permissions under which the store has to work. */
  permissions?: Deno.TestDefinition["permissions"];
}

type Check = (context: ConformanceContext) => Promise<void>;

/** One rule of the protocol. `needs` is the option without which it cannot be proven. */
export type ConformanceCheck = readonly [
  name: string,
  run: Check,
  needs?: "broken" | "permissions" | "processes" | "disposable" | "another",
];

const SECRET = "conformance-secret";
/** Gives real stores their turn. */
const TURN_MS = 20;

/** The rules, in the order of the protocol. */
export const CONFORMANCE_CHECKS: readonly ConformanceCheck[] = [
  ["gives back the whole entry that was stored, and shows no secret when printed", checkRoundTrip],
  ["replaces an entry whole, and keeps a copy of its own", checkOverwrite],
  ["stores as isReplaced says, and says so", checkReplaced],
  ["gives undefined without an entry, and deletes one or none", checkDelete],
  ["keeps unicode, long and awkward keys apart", checkKeys],
  ["holds entries of any size, or refuses them by a code and keeps the old", checkSizes],
  [
    "loses nothing to writers at the same time, also of a second handle, if it is persistent",
    checkConcurrentWriters,
  ],
  ["lists the keys of all entries, if it lists", checkList],
  ["lets one holder of a lock run at a time, if it locks", checkLockExclusion],
  ["lets holders of different keys run at the same time, if it locks", checkLockKeys],
  ["serves under its own lock, and releases it when its holder throws", checkLockThrow],
  ["ends the wait for a lock by its signal, if it locks", checkLockAbort],
  ["does not take unreadable for absent, nor show a secret then", checkBroken, "broken"],
  ["keeps the entries of two people apart", checkPeople, "another"],
  ["removes every entry by deleteAll, if it has that", checkDeleteAll, "disposable"],
  [
    "loses nothing to several processes, nor its lock to one that is killed",
    checkProcesses,
    "processes",
  ],
  ["works with the permissions that it declares", checkPermissions, "permissions"],
];

function entry(fields: Record<string, unknown> = {}): OidcCredentials {
  return {
    issuer: "https://login.example.com",
    client_id: "conformance",
    access_token: `${SECRET}-access`,
    refresh_token: `${SECRET}-refresh`,
    expires_at: "2099-01-01T00:00:00.000Z",
    ...fields,
  };
}

async function checkRoundTrip({ backend, name }: ConformanceContext) {
  const x_extra = { kept: [1, 2.5, null, "größe", { deep: true }], off: false, none: 0, empty: "" };
  const expires_at = "2020-01-01T00:00:00.000Z"; // of the access token: the entry stays
  const falsy = { x_off: false, x_none: 0, x_empty: "" };
  const odd = entry({ ...falsy, x_extra, expires_at, id_token: null });
  await backend.put(name, odd);
  await expectStored(backend, name, odd, "after put() resolved, get() gave something else");
  expectNoSecret(backend, "the backend");
}

async function checkOverwrite({ backend, name }: ConformanceContext) {
  await backend.put(name, entry({ x_old: true }));
  const mine = entry();
  await backend.put(name, mine);
  mine.access_token = "changed by the caller";
  const rule = "put() left parts of the old entry, or a caller's later change reached the store";
  await expectStored(backend, name, entry(), rule);
  const given = await backend.get(name);
  given!.access_token = "changed by the reader";
  const own = "get() handed out the stored object: a reader's change reached the store";
  await expectStored(backend, name, entry(), own);
}

/** A store that cannot compare may ignore `isReplaced`. None may store against its answer. */
async function checkReplaced({ backend, name }: ConformanceContext) {
  const [old, next] = [entry({ x_state: "old" }), entry({ x_state: "next" })];
  expect(await backend.put(name, old) !== false, "put() gave false without isReplaced");

  let asked: OidcCredentials | undefined | null;
  const refuses = (present: OidcCredentials | undefined) => {
    asked = present;
    return false;
  };
  const result = await backend.put(name, next, { isReplaced: refuses });
  if (asked === undefined) {
    writeError(
      "The backend ignores isReplaced: a refresh may undo a sign-out that comes in between.\n",
    );
    expect(result !== false, "put() gave false, and has not asked isReplaced");
    await expectStored(backend, name, next, "put() with isReplaced stored nothing");
    return;
  }
  expect(sameJson(asked, old), "put() gave isReplaced something else than the present entry");
  expect(result === false, "put() asked isReplaced, which refused, and did not give false");
  await expectStored(backend, name, old, "put() stored against the answer of isReplaced");

  const stored = await backend.put(name, next, { isReplaced: () => true });
  expect(stored !== false, "put() gave false where isReplaced agreed");
  await expectStored(backend, name, next, "put() stored nothing where isReplaced agreed");
}

async function checkDelete({ backend, name }: ConformanceContext) {
  expect(await backend.get(name) == null, "get() of a missing key gave something");
  await backend.put(name, entry());
  await backend.delete(name);
  expect(!(await backend.get(name)), "get() after delete() still gave the entry");
  await backend.delete(name);
}

async function checkKeys({ backend, key }: ConformanceContext) {
  const suffixes = [
    "|https://idp.example.com/realms/größe|клиент-日本",
    "|https://idp.example.com/realms/größe|клиент-本日",
    "|a/b\\c:d*e?f\"g<h>i.j..k%2F%00l m\tn'o",
    `|${"x".repeat(400)}`,
    `|${"x".repeat(400)}y`,
    "|UPPER",
    "|upper",
    "|caf\u00e9",
    "|cafe\u0301",
  ];
  const [deleted = "", ...names] = ["", ...suffixes].map((suffix) => key(suffix));
  for (const name of [deleted, ...names]) await backend.put(name, entry({ client_id: name }));
  await backend.delete(deleted);
  for (const name of names) {
    const stored = entry({ client_id: name });
    await expectStored(backend, name, stored, `the key ${JSON.stringify(name)} was mixed up`);
  }
}

async function checkSizes({ backend, key }: ConformanceContext) {
  for (const size of [1, 1_000, 8_000, 60_000, 250_000, 1_048_576]) {
    const name = key();
    const before = entry({ access_token: "before" });
    await backend.put(name, before);
    const large = entry({ access_token: "t".repeat(size) });
    const refusal = await errorOf(() => backend.put(name, large));
    if (refusal === undefined) {
      await expectStored(backend, name, large, `an entry of ${size} bytes came back different`);
      continue;
    }
    const { code } = refusal as { code?: unknown };
    expect(
      code === "backend_too_large",
      `an entry of ${size} bytes was refused with code ${code}, not "backend_too_large"`,
    );
    await expectStored(backend, name, before, `a refused entry of ${size} bytes replaced the old`);
  }
}

async function checkConcurrentWriters(
  { backend: first, open, key }: ConformanceContext,
) {
  if (first.persistent === undefined) {
    writeError("The backend does not say whether it is persistent: no second handle is tried.\n");
  }
  const second = await open();
  const names = Array.from({ length: 24 }, () => key());
  await Promise.all(names.map(async (name, index) => {
    await (index % 2 ? first : second).put(name, entry({ client_id: name }));
  }));
  for (const name of names) {
    const rule = "of entries written at the same time, a second handle does not see one";
    await expectStored(second, name, entry({ client_id: name }), rule);
  }
  const [name] = names as [string];
  const next = entry({ client_id: name, x_next: true });
  await first.put(name, next);
  const rule = "a handle that has read an entry does not see that another one replaces it";
  await expectStored(second, name, next, rule);
}

/** Stores that give their keys by pages have pages of ten or twenty. */
const MORE_THAN_A_PAGE = 24;

async function checkList({ backend, key }: ConformanceContext) {
  if (backend.list === undefined) return;
  const [deleted, odd] = [key(), key("|https://größe.example.com/|App")];
  const names = [odd, ...Array.from({ length: MORE_THAN_A_PAGE }, () => key())];
  await Promise.all([deleted, ...names].map((name) => backend.put(name, entry())));
  await backend.delete(deleted);
  const listed = await Array.fromAsync(backend.list());
  const missed = names.filter((name) => !listed.includes(name));
  expect(missed.length === 0, "list() left out a key that is stored");
  expect(!listed.includes(deleted), "list() gave a key that was deleted");
  expect(new Set(listed).size === listed.length, "list() gave a key twice");
}

async function checkLockExclusion(
  { backend: first, name, open }: ConformanceContext,
) {
  if (first.withLock === undefined) {
    return writeError(
      "The backend has no withLock: it is for one process at a time. Two processes that refresh " +
        "at once lose the sign-in.\n",
    );
  }
  const second = await open();
  let inside = 0;
  let overlaps = 0;
  const hold = async () => {
    overlaps += inside++;
    await delay(TURN_MS);
    inside--;
  };
  await Promise.all(
    [first, second, first, second].map((backend) => backend.withLock!(name, hold)),
  );
  expect(overlaps === 0, "two holders of one key's lock ran at the same time");
}

async function checkLockKeys({ backend, key, patienceMs }: ConformanceContext) {
  const [one, other] = [key(), key()];
  const rule = "the lock of one key held up another key";
  await backend.withLock?.(one, () => within(patienceMs, take(backend, other), () => broken(rule)));
}

async function checkLockThrow({ backend, name }: ConformanceContext) {
  if (backend.withLock === undefined) return;
  const fault = new Error("thrown by the holder");
  const thrown = await errorOf(() => backend.withLock!(name, () => Promise.reject(fault)));
  expect(thrown === fault, "withLock() did not pass on what its function threw");
  const value = await backend.withLock(name, async () => {
    await backend.put(name, entry());
    await expectStored(backend, name, entry(), "put() under the lock did not store");
    return "free";
  });
  expect(value === "free", "withLock() did not give its function's value");
}

async function checkLockAbort({ backend, name, patienceMs }: ConformanceContext) {
  const abort = new AbortController();
  const { signal } = abort;
  await backend.withLock?.(name, async () => {
    const waiting = errorOf(() => take(backend, name)(signal));
    await delay(TURN_MS);
    abort.abort(new Error("enough"));
    const rule = "the wait for a lock did not end with the signal's reason";
    expect(await within(patienceMs, () => waiting, () => broken(rule)) === signal.reason, rule);
  });
  await backend.withLock?.(name, () => Promise.resolve());
}

async function checkBroken({ backend, name }: ConformanceContext) {
  const thrown = await errorOf(() => backend.get(name));
  expect(thrown !== undefined, "get() of an unreadable store gave a value: it must throw");
  expectNoSecret(thrown, "the error of an unreadable store");
  const list = async () => await Array.fromAsync(backend.list?.() ?? []);
  const fromList = await errorOf(list);
  const fromDelete = await errorOf(() => backend.delete(name));
  for (const error of [fromList, fromDelete]) {
    expectNoSecret(error, "the error of an unreadable store");
  }
  // Where one entry alone is damaged, its removal cures it.
  if (fromDelete === undefined && await errorOf(() => backend.get(name)) === undefined) return;
  expect(fromDelete !== undefined, "delete() in an unreadable store did nothing: it must throw");
  const isSilent = backend.list !== undefined && fromList === undefined;
  expect(!isSilent, "list() of an unreadable store gave keys, or none: it must throw");
}

async function checkPeople({ backend, another, name }: ConformanceContext) {
  const { storeId } = backend;
  const isOne = storeId !== undefined && storeId === another!.storeId;
  expect(!isOne, "the stores of two people have one storeId: their sessions would share tokens");
  await backend.put(name, entry());
  expect(await another!.get(name) == null, "the store of one person gave another one's entry");
}

async function checkDeleteAll({ backend, key }: ConformanceContext) {
  if (backend.deleteAll === undefined) return;
  const names = [key(), key()];
  for (const name of names) await backend.put(name, entry());
  await backend.deleteAll();
  for (const name of names) {
    expect(await backend.get(name) == null, "deleteAll() left an entry");
  }
}

async function checkPermissions(context: ConformanceContext) {
  const { backend, permissions } = context;
  if (backend.requiredPermissions !== undefined && typeof permissions === "object") {
    const declared = new Set<string>(backend.requiredPermissions().map(({ name }) => name));
    const granted = Object.entries(permissions).filter(([, value]) => value !== false);
    const missed = granted.find(([name]) => name !== "import" && !declared.has(name));
    expect(missed === undefined, `requiredPermissions() does not name ${missed?.[0]}`);
  }
  await checkRoundTrip(context);
}

async function checkProcesses(
  { backend, name, key, patienceMs, processes }: ConformanceContext,
) {
  const own = Array.from({ length: 4 }, () => key());
  const untilFree = async () => {
    const rule = "the lock of a process that was killed did not become free";
    await within(6 * patienceMs, take(backend, name), () => broken(rule));
  };
  const rule = await changeTogether(processes!, backend, name, own, untilFree);
  expect(rule === undefined, rule!);
}

async function expectStored(
  backend: OidcCredentialsBackend,
  key: string,
  expected: OidcCredentials,
  rule: string,
) {
  expect(sameJson(await backend.get(key), expected), rule);
}

function expectNoSecret(value: unknown, what: string) {
  const inside = Deno.inspect(value, { depth: 10, showHidden: true });
  const shown = [inside, String(value), JSON.stringify(value)];
  expect(!shown.join("").includes(SECRET), `${what} shows a token when it is printed`);
}

/** Takes a lock, and releases it at once. */
const take = (backend: OidcCredentialsBackend, key: string) => (signal: AbortSignal) =>
  backend.withLock!(key, () => Promise.resolve(), { signal });

function errorOf(run: () => MaybePromise<unknown>): Promise<unknown> {
  return Promise.try(run).then(() => undefined, (error) => error ?? new Error("threw nothing"));
}

/** Says the broken rule in words. The values stay out: they may be tokens. */
function expect(isKept: boolean, rule: string) {
  if (!isKept) throw broken(rule);
}

function broken(rule: string) {
  return new Error(`The backend breaks the protocol: ${rule}.`);
}
