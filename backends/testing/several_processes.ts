import { delay } from "../common/promises.ts";
import { killProcess } from "../common/runtime.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/**
 * The class of a store, as further processes import and construct it.
 *
 * @category Testing
 */
export interface SharedStore {
  /** The address of its module, such as `import.meta.resolve("./team_store.ts")`. */
  module: string;
  /** The name of its export. */
  exportName: string;
  /** The options of its constructor, as JSON can carry them. */
  options?: unknown;
}

/** The byte by which a process says that it is ready. No text has it. */
const READY = 0;
/** The changes of an entry by each process. */
const CHANGES = 10;
/** Processes come to wait for a lock within this time. */
const WAITING_MS = 300;
/** A process that takes longer is ended. */
const LIMIT_MS = 60_000;
/** An environment variable and not an argument, which other users can see. */
const OPTIONS = "VM_OIDC_CREDENTIALS_BACKEND_KWARGS";

/**
 * Has several processes change one entry of all, and each one an entry of its own, at the same time. They
 * all wait for the lock at first, whose holder is killed then.
 *
 * @param untilFree Waits until the lock is free after the kill, and throws where it stays taken.
 * @returns The rule that the store breaks, if it does.
 */
export async function changeTogether(
  store: SharedStore,
  backend: OidcCredentialsBackend,
  shared: string,
  own: readonly string[],
  untilFree: () => Promise<void>,
): Promise<string | undefined> {
  if (backend.withLock === undefined) return "it is shared and has no withLock()";
  const children = await Promise.all(own.map((name) => start(store, shared, name)));
  const holder = await start(store, shared);
  const results = children.map(async (child) => {
    await child.stdin.close().catch(() => undefined); // it begins then, unless it has ended
    return (await child.status).success;
  });
  await delay(WAITING_MS); // until they wait for the lock
  await killProcess(holder);
  await untilFree().catch(async (error) => {
    await Promise.all(children.map(killProcess));
    throw error;
  });
  const isDone = await Promise.all(results);
  const counts = await Promise.all(own.map(async (name) => changesOf(await backend.get(name))));
  if (isDone.includes(false) || counts.some((count) => count !== CHANGES)) {
    return "of several processes one failed, or its entry was lost, or is in another store";
  }
  const lost = own.length * CHANGES - changesOf(await backend.get(shared));
  return lost === 0 ? undefined : `withLock() lets other processes in: ${lost} changes were lost`;
}

/** Starts a process, and waits until it is ready. Its errors go to standard error. */
async function start(
  { module, exportName, options = {} }: SharedStore,
  ...keys: readonly string[]
) {
  const code = `
    import { ${exportName} as Store } from ${JSON.stringify(module)};
    import { work } from ${JSON.stringify(import.meta.url)};
    const store = new Store(JSON.parse(Deno.env.get("${OPTIONS}")));
    await work(store, ...${JSON.stringify(keys)});
    await store.close?.();`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", "--unstable-kv", code],
    env: { [OPTIONS]: JSON.stringify(options) },
    stdin: "piped",
    stdout: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
  await untilReady(child.stdout);
  return child;
}

/** Reads on after it, since the store may print lines of its own. */
async function untilReady(output: ReadableStream<Uint8Array>) {
  const ready = Promise.withResolvers<void>();
  const end = output.pipeTo(
    new WritableStream({
      write(chunk) {
        if (chunk.includes(READY)) ready.resolve();
      },
    }),
  );
  await Promise.race([ready.promise, end]);
}

/**
 * The work of one process: it refreshes the entry of all, and writes its own in between. Without an own
 * one it holds the lock, and is killed.
 */
export async function work(
  store: OidcCredentialsBackend,
  shared: string,
  own?: string,
) {
  if (own === undefined) return await store.withLock!(shared, untilTold);
  await untilTold();
  for (let count = 0; count < CHANGES; count++) {
    await store.withLock!(shared, () => change(store, shared));
    await change(store, own);
  }
}

/** Says that it is ready, and waits for the end of standard input. */
async function untilTold() {
  await Deno.stdout.write(new Uint8Array([READY]));
  await Deno.stdin.read(new Uint8Array(1));
}

async function change(store: OidcCredentialsBackend, key: string) {
  const changes = changesOf(await store.get(key)) + 1;
  await delay(10 * Math.random()); // as for a provider's answer
  const issuer = "https://login.example.com";
  await store.put(key, { issuer, client_id: "", access_token: "conformance-secret", changes });
}

function changesOf(entry: OidcCredentials | undefined | null) {
  return Number(entry?.changes ?? 0);
}
