import type { VaultKv, VaultSecret } from "../../../backends/vault/engine.ts";
import { vaultLock } from "../../../backends/vault/lock.ts";
import { FakeClock } from "../../support/fake_clock.ts";

export const NAME = "entry";
export const LEASE = "entry.lock";
export const nothing = () => Promise.resolve();

/** One folder in memory, for the faults that a server does not make when it is told to. */
export class FakeKv implements VaultKv {
  readonly rows = new Map<string, VaultSecret>();
  /** Runs once, instead of the next write, with what would do it. */
  nextWrite: ((write: () => number | undefined) => unknown) | undefined;

  constructor(readonly hasCheckAndSet: boolean) {}

  read(name: string): Promise<VaultSecret> {
    return Promise.resolve(this.rows.get(name) ?? { data: undefined, version: 0 });
  }

  async write(name: string, data: Record<string, unknown>, version: number) {
    const write = () => this.set(name, data, version);
    const hook = this.nextWrite;
    this.nextWrite = undefined;
    return hook === undefined ? write() : await hook(write) as number | undefined;
  }

  set(name: string, data: Record<string, unknown>, version?: number): number | undefined {
    const latest = this.rows.get(name)?.version ?? 0;
    if (!this.hasCheckAndSet) {
      this.rows.set(name, { data, version: 0 });
      return 0;
    }
    if (version !== undefined && version !== latest) return undefined;
    this.rows.set(name, { data, version: latest + 1 });
    return latest + 1;
  }

  forgetVersions = nothing;
  remove = nothing;
  list = () => Promise.resolve([]);
}

interface WorldOptions {
  hasCheckAndSet?: boolean;
  lockTimeoutMs?: number;
  onTakeOver?: (name: string) => Promise<void>;
}

/** A lock of the entry {@linkcode NAME} in such a folder, on a clock of its own. */
export function world(
  { hasCheckAndSet = true, lockTimeoutMs = 60_000, onTakeOver = nothing }: WorldOptions = {},
) {
  const kv = new FakeKv(hasCheckAndSet);
  const clock = new FakeClock();
  const make = () => {
    return vaultLock({ kv, place: "the store", timer: clock, lockTimeoutMs, onTakeOver });
  };
  return { kv, clock, make, lock: make() };
}

/** Lets all promises that are ready run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
