import type { OidcCredentials, PutOptions } from "../../backends/oidc_credentials_backend.ts";
import { SpyBackend } from "./spy_backend.ts";

/** Changes that others make right before the calls of stores, by the number of the call. */
export class Interleaving {
  /** The calls of all its stores. */
  readonly calls: string[] = [];
  #changes: { call: number; change: () => void }[] = [];

  /** Makes a change before a call, after those that were added for it already. */
  at(call: number, change: () => void): void {
    this.#changes.push({ call, change });
  }

  /** Counts a call, and makes the changes that precede it. */
  enter(method: string): void {
    this.#run(({ call }) => call === this.calls.length);
    this.calls.push(method);
  }

  /** Makes the changes that are left, after the last call. */
  finish(): void {
    this.#run(() => true);
  }

  #run(isDue: (one: { call: number }) => boolean): void {
    const due = this.#changes.filter(isDue);
    this.#changes = this.#changes.filter((one) => !due.includes(one));
    for (const { change } of due) change();
  }
}

/** A store that compares and writes in one step, and lists. Others may change it between its calls. */
export class InterleavedStore extends SpyBackend {
  readonly interleaving: Interleaving;

  constructor(interleaving: Interleaving = new Interleaving()) {
    super();
    this.interleaving = interleaving;
    this.before = (method) => this.interleaving.enter(method);
  }

  override put(key: string, entry: OidcCredentials, options: PutOptions = {}): Promise<void> {
    this.interleaving.enter("put");
    const isWanted = options.isReplaced?.(structuredClone(this.rows.get(key))) ?? true;
    if (isWanted) this.rows.set(key, structuredClone(entry));
    return Promise.resolve();
  }

  async *list(): AsyncGenerator<string> {
    yield* [...this.rows.keys()];
  }
}

/** Every order in which so many steps of another program may fall before so many calls. */
export function* interleavings(steps: number, calls: number, from = 0): Generator<number[]> {
  if (steps === 0) return yield [];
  for (let call = from; call < calls; call++) {
    for (const rest of interleavings(steps - 1, calls, call)) yield [call, ...rest];
  }
}
