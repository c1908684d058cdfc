import {
  FileCredentialsBackend,
  loadBackendFromEnv,
  migrateCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { entry } from "../../support/entries.ts";
import { withEnv } from "../../support/own_env.ts";
import { Random } from "./random.ts";
import { withCalls } from "./stop_point.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const [OLD, MOVED, NEW] = [1, 2, 3];

/**
 * Moves entries to a store in which each has an older one, while a person signs out there or in again:
 * no sign-out may be undone, and no newer sign-in overwritten.
 */
export async function raceMigration(options: TortureOptions): Promise<TortureResult> {
  await using store = await options.startStore(`${options.folder}`);
  return await withEnv(store.env, async () => {
    const [target, rival] = [(await loadBackendFromEnv())!, (await loadBackendFromEnv())!];
    try {
      return await race(options, target, rival);
    } finally {
      await target.close?.();
      await rival.close?.();
    }
  });
}

async function race(
  { count, seed, folder }: TortureOptions,
  target: OidcCredentialsBackend,
  rival: OidcCredentialsBackend,
): Promise<TortureResult> {
  const source = new FileCredentialsBackend({ path: `${folder}/source/credentials.json` });
  const random = new Random(seed);
  const keys = Array.from({ length: count }, (_, n) => `https://login.example.com|race-${n}`);
  for (const key of keys) {
    await source.put(key, ending(MOVED));
    await target.put(key, ending(OLD));
  }
  const listed = Promise.withResolvers<void>();
  const noticing = withCalls(target, {
    async *list() {
      yield* await Array.fromAsync(target.list!());
      listed.resolve();
    },
  });
  const migration = migrateCredentials(source, noticing);
  await listed.promise; // who signs out before is not known to the migration
  const signedOut = keys.filter(() => random.int(0, 1) === 0);
  const act = async (key: string) => {
    await new Promise((resolve) => setTimeout(resolve, random.int(0, 5)));
    const isOut = signedOut.includes(key);
    await rival.withLock!(key, async () => {
      await (isOut ? rival.delete(key) : rival.put(key, ending(NEW)));
    });
  };
  const acts = (async () => {
    for (const key of keys.toSorted(() => random.int(0, 1) - 0.5)) await act(key);
  })();
  await Promise.all([migration, acts]);
  const failures: string[] = [];
  for (const key of keys) {
    const found = (await target.get(key))?.n;
    if (signedOut.includes(key) && found !== undefined) {
      failures.push(`${key}: signed out, is there`);
    }
    if (!signedOut.includes(key) && found !== NEW) {
      failures.push(`${key}: ${found} over a newer one`);
    }
  }
  return {
    figures: { "sign-outs": signedOut.length, "sign-ins": count - signedOut.length },
    failures,
  };
}

/** An entry of which a greater number ends later. */
function ending(n: number) {
  return entry({ n, expires_at: `209${n}-01-01T00:00:00.000Z` });
}
