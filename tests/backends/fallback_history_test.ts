/**
 * Random histories of a fallback backend whose stores come and go, fill up and fail in the middle of
 * a write, held against a model: a read gives the entry of the last acknowledged write, that of a
 * failed later one, nothing, or an error, and never an older entry.
 */
import { assert } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../backends/credentials_backend_error.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { small } from "../support/entries.ts";

/** Steps in all histories together. `deno task torture --history` runs more. */
const STEPS = 20_000;

/** A generator of numbers below `end`, the same for the same seed (mulberry32). */
function numbers(seed: number): (end: number) => number {
  let state = seed;
  return (end) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % end;
  };
}

/** A store that is silent, full, or fails at one coming call, before or after it is done. */
class WeatheredStore extends MemoryCredentialsBackend {
  readonly #name: string;
  isSilent = false;
  isFull = false;
  failing: { calls: number; code: CredentialsBackendErrorCode; isDone: boolean } | undefined;

  constructor(name: string) {
    super();
    this.#name = name;
  }
  override get(key: string): OidcCredentials | undefined {
    return this.#call(false, () => super.get(key));
  }
  override put(key: string, entry: OidcCredentials): void {
    this.#call(true, () => super.put(key, entry));
  }
  override delete(key: string): void {
    this.#call(true, () => super.delete(key));
  }
  #call<T>(isWrite: boolean, run: () => T): T {
    if (this.isSilent) throw this.#error("backend_unavailable");
    if (isWrite && this.isFull) throw this.#error("backend_full");
    if (!isWrite || this.failing === undefined || --this.failing.calls > 0) return run();
    const { code, isDone } = this.failing;
    this.failing = undefined;
    if (isDone) run();
    throw this.#error(code);
  }
  #error(code: CredentialsBackendErrorCode): CredentialsBackendError {
    return new CredentialsBackendError(code, `Cannot use ${this.#name}: ${code}. Wait.`);
  }
}

interface History {
  gets: number;
  old: string[];
}

async function runHistory(seed: number, steps: number): Promise<History> {
  const below = numbers(seed);
  const stores = ["a", "b", "c"].slice(0, 2 + below(2)).map((name) => new WeatheredStore(name));
  const open = () => new FallbackCredentialsBackend({ backends: stores, onFallback: () => {} });
  const programs = [open(), open()];
  const history: History = { gets: 0, old: [] };
  /** The entries that a read may give, the last acknowledged one first. */
  let newest: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const store = stores[below(stores.length)]!;
    switch (below(12)) {
      case 0:
      case 1:
        store.isSilent = !store.isSilent && below(3) > 0;
        break;
      case 2:
        store.isFull = !store.isFull && below(3) === 0;
        break;
      case 3: {
        const code =
          (["backend_denied", "backend_unavailable", "backend_timeout"] as const)[below(3)]!;
        store.failing = { calls: 1 + below(2), code, isDone: below(2) === 0 };
        break;
      }
      case 4:
        programs[below(2)] = open(); // a program ends, and another one starts
        break;
      case 5:
      case 6:
      case 7: {
        const backend = programs[below(2)]!;
        const hasStored = await backend.put("k", { ...small("c"), step }).then(
          () => true,
          () => false,
        );
        newest = hasStored ? [step] : [...newest, step];
        break;
      }
      default: {
        history.gets++;
        const read = await programs[below(2)]!.get("k").catch(() => undefined);
        if (read === undefined) break;
        const found = read.step as number;
        if (newest.includes(found)) newest = newest.slice(newest.indexOf(found));
        else history.old.push(`seed ${seed}, step ${step}: ${found}, not one of ${newest}`);
      }
    }
  }
  return history;
}

Deno.test("a read never gives an older entry, however the stores come and go", async () => {
  const old: string[] = [];
  let gets = 0;
  for (let seed = 1; seed <= STEPS / 200; seed++) {
    const history = await runHistory(seed, 200);
    old.push(...history.old);
    gets += history.gets;
  }
  assert(gets > STEPS / 4);
  assert(old.length === 0, `${old.length} of ${gets} reads: ${old.slice(0, 5).join("; ")}`);
});
