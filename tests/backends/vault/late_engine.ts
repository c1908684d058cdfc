import type { Row, SecretEngine } from "../../../backends/vault/locked_secrets.ts";

/** Time that passes when nobody has anything left to do before it. */
export class SimulatedTime {
  #now = 0;
  readonly #waits: { at: number; end: () => void }[] = [];

  readonly now = (): number => this.#now;

  readonly delay = async (ms: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted();
    await new Promise<void>((end) => this.#waits.push({ at: this.#now + ms, end }));
    signal?.throwIfAborted();
  };

  /** Lets time pass until a promise has settled. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    work.then(() => isDone = true, () => isDone = true);
    for (;;) {
      for (let turn = 0; turn < 60; turn++) await Promise.resolve(); // what needs no time
      if (isDone) return await work;
      this.#waits.sort((one, other) => one.at - other.at);
      const next = this.#waits.shift();
      if (next === undefined) throw new Error("everybody waits for ever");
      this.#now = Math.max(this.#now, next.at);
      next.end();
    }
  }
}

/** How a process reaches the nodes. */
export interface Route {
  /** The node of each request in turn: 0 is the active one. */
  readonly node: (request: number) => number;
  /** How far behind the standby is, in milliseconds. */
  readonly lagMs: number;
}

/** One secret on several nodes. A standby answers reads late, and compares with what it knows itself. */
export class LateCluster {
  readonly time: SimulatedTime;
  /** All versions, with the time at which each was written. */
  readonly history: { row: Row; at: number }[] = [];
  reads = 0;
  /** How long a request is on its way, in milliseconds. */
  readonly travelMs = 2;

  constructor(time: SimulatedTime) {
    this.time = time;
  }

  get newest(): Row {
    return this.#known(0);
  }

  /** The engine as one process reaches it. */
  engine({ node, lagMs }: Route): SecretEngine {
    let requests = 0;
    const lagNow = () => node(requests++) === 0 ? 0 : lagMs;
    return {
      read: async () => {
        this.reads++;
        const lag = lagNow();
        await this.time.delay(this.travelMs);
        const row = this.#known(lag);
        await this.time.delay(this.travelMs);
        return row;
      },
      write: async (_name, row, version) => {
        const lag = lagNow();
        await this.time.delay(this.travelMs);
        const isRefused = version !== undefined &&
          [this.#known(lag), this.newest].some((known) => known.version !== version);
        const written = isRefused ? undefined : this.#store(row);
        await this.time.delay(this.travelMs);
        return written;
      },
    };
  }

  #known(lagMs: number): Row {
    const until = this.time.now() - lagMs;
    const none = { version: 0, key: "k", text: "", holder: "" };
    return this.history.findLast(({ at }) => at <= until)?.row ?? none;
  }

  #store({ key, text, holder }: Pick<Row, "key" | "text" | "holder">): Row {
    const row = { version: this.newest.version + 1, key, text, holder };
    this.history.push({ row, at: this.time.now() });
    return row;
  }
}
