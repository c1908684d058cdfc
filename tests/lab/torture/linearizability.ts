/** One call of a process to a store, with the times between which it took effect. */
export interface Operation {
  /** The process. Its calls follow each other. */
  readonly process: number;
  readonly kind: "put" | "get" | "delete";
  /** The value that was written or read; `undefined` where nothing was stored. */
  readonly value?: number | undefined;
  readonly calledAt: number;
  /** `Infinity` where the call failed: it may take effect at any time after it was made, or never. */
  readonly returnedAt: number;
}

/** A point of the search: how far each process has come, and what is stored. */
interface State {
  readonly done: readonly number[];
  readonly stored: number | undefined;
}

/**
 * Tells whether the calls of several processes to one key are linearizable: whether each can have
 * taken effect at one moment between its call and its return, in an order in which every get gives
 * what was written last.
 *
 * @returns `undefined`, or the calls of which none can come next.
 */
export function findAnomaly(history: readonly Operation[]): Operation[] | undefined {
  const lanes = lanesOf(history);
  const seen = new Set<string>();
  const states: State[] = [{ done: lanes.map(() => 0), stored: undefined }];
  let furthest = states[0]!;
  for (let state = states.pop(); state !== undefined; state = states.pop()) {
    const waiting = lanes.map((lane, index) => lane[state.done[index]!]);
    if (waiting.every((next) => next === undefined || next.returnedAt === Infinity)) {
      return undefined;
    }
    if (sum(state.done) > sum(furthest.done)) furthest = state;
    for (const next of nextStates(state, waiting)) {
      const name = `${next.done} ${next.stored}`;
      if (seen.has(name)) continue;
      seen.add(name);
      states.push(next);
    }
  }
  const stuck = lanes.map((lane, index) => lane[furthest.done[index]!]);
  return stuck.filter((next) => next !== undefined);
}

/** The calls of each process in their order. A failed call is a lane of its own: it may come late. */
function lanesOf(history: readonly Operation[]): Operation[][] {
  const failed = history.filter(({ returnedAt }) => returnedAt === Infinity);
  const ended = history.filter(({ returnedAt }) => returnedAt !== Infinity);
  const lanes = Object.values(Object.groupBy(ended, ({ process }) => process));
  const ordered = lanes.map((lane) => lane!.toSorted((a, b) => a.calledAt - b.calledAt));
  return [...ordered, ...failed.map((operation) => [operation])];
}

/** A call comes next if no other one has returned before it was made. */
function nextStates(
  { done, stored }: State,
  waiting: readonly (Operation | undefined)[],
): State[] {
  const firstReturn = Math.min(...waiting.map((next) => next?.returnedAt ?? Infinity));
  return waiting.flatMap((next, index) => {
    if (next === undefined || next.calledAt > firstReturn) return [];
    if (next.kind === "get" && next.value !== stored) return [];
    return [{
      done: done.with(index, done[index]! + 1),
      stored: next.kind === "get" ? stored : next.value,
    }];
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
