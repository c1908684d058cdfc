/** A clock that stands still, but for what a test or a wait lets pass. */
export class FakeClock {
  /** Every wait that was asked for, in milliseconds. */
  readonly delays: number[] = [];
  /** Runs when a wait is over, with the number of waits so far. */
  onDelay: ((count: number) => void | Promise<void>) | undefined;
  #now: number;

  constructor(start = Date.now()) {
    this.#now = start;
  }

  /** The time, in milliseconds since the epoch. */
  readonly now = (): number => this.#now;

  /** Lets time pass at once instead of waiting. */
  readonly delay = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted();
    this.delays.push(ms);
    this.#now += ms;
    await this.onDelay?.(this.delays.length);
    signal?.throwIfAborted();
  };

  /** Lets time pass. */
  advance(ms: number): void {
    this.#now += ms;
  }
}
