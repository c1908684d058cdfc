/** Stands in for `setInterval`, so that a test says when time has passed. */
export class ManualIntervals implements Disposable {
  readonly #set = globalThis.setInterval;
  readonly #clear = globalThis.clearInterval;
  readonly #running = new Map<number, () => void>();
  #last = 0;

  constructor() {
    globalThis.setInterval = ((run: () => void) => {
      this.#running.set(++this.#last, run);
      return this.#last;
    }) as unknown as typeof setInterval;
    globalThis.clearInterval = ((id: number) => {
      this.#running.delete(id);
    }) as unknown as typeof clearInterval;
  }

  /** How many are running. */
  get count(): number {
    return this.#running.size;
  }

  /** Lets each of them run once. */
  tick(): void {
    for (const run of this.#running.values()) run();
  }

  [Symbol.dispose](): void {
    globalThis.setInterval = this.#set;
    globalThis.clearInterval = this.#clear;
  }
}
