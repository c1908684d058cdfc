const flights = new WeakMap<object, Map<string, Promise<unknown>>>();

/** Runs `fn`, or joins the run of it that is under way for the same owner and key. */
export function singleFlight<T>(owner: object, key: string, fn: () => Promise<T>): Promise<T> {
  const running = flights.get(owner) ?? new Map<string, Promise<unknown>>();
  flights.set(owner, running);
  let flight = running.get(key) as Promise<T> | undefined;
  if (flight === undefined) {
    flight = fn().finally(() => running.delete(key));
    running.set(key, flight);
  }
  return flight;
}
