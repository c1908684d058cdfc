import { assertEquals } from "@std/assert";
import { findAnomaly, type Operation } from "./linearizability.ts";

type Times = [calledAt: number, returnedAt: number];

const put = (process: number, value: number, [calledAt, returnedAt]: Times): Operation => ({
  process,
  kind: "put",
  value,
  calledAt,
  returnedAt,
});
const get = (process: number, value: number | undefined, times: Times): Operation => ({
  ...put(process, 0, times),
  kind: "get",
  value,
});
const remove = (process: number, times: Times): Operation => ({
  ...put(process, 0, times),
  kind: "delete",
  value: undefined,
});

Deno.test("a get gives the value that was put last", () => {
  const history = [put(0, 1, [0, 1]), put(0, 2, [2, 3]), get(1, 2, [4, 5]), remove(0, [6, 7])];
  assertEquals(findAnomaly([...history, get(1, undefined, [8, 9])]), undefined);
});

Deno.test("an older value after the return of a put is an anomaly", () => {
  const stale = get(1, 1, [4, 5]);
  assertEquals(findAnomaly([put(0, 1, [0, 1]), put(0, 2, [2, 3]), stale]), [stale]);
});

Deno.test("a value that comes back is an anomaly", () => {
  const stale = get(1, 1, [6, 7]);
  const history = [put(0, 1, [0, 1]), put(0, 2, [2, 9]), get(1, 2, [4, 5]), stale];
  assertEquals(findAnomaly(history), [stale]);
});

Deno.test("a put that is overwritten by an older one is an anomaly", () => {
  const lost = get(2, undefined, [4, 5]);
  assertEquals(findAnomaly([put(0, 1, [0, 1]), remove(1, [0, 1]), lost]), undefined);
  assertEquals(findAnomaly([put(0, 1, [2, 3]), remove(1, [0, 1]), lost]), [lost]);
});

Deno.test("calls that overlap may take effect in either order", () => {
  const overlapping = [put(0, 1, [0, 9]), put(1, 2, [0, 9])];
  assertEquals(findAnomaly([...overlapping, get(2, 1, [10, 11])]), undefined);
  assertEquals(findAnomaly([...overlapping, get(2, 2, [10, 11])]), undefined);
  const one = get(2, 1, [1, 2]);
  assertEquals(findAnomaly([...overlapping, one, get(2, 2, [3, 4])]), undefined);
  assertEquals(
    findAnomaly([...overlapping, one, get(2, 2, [3, 4]), get(2, 1, [5, 6])])?.length,
    1,
  );
});

Deno.test("a failed put may take effect late or never, but not before its call", () => {
  const failed = put(0, 1, [2, Infinity]);
  assertEquals(findAnomaly([failed, get(1, undefined, [3, 4]), get(1, 1, [5, 6])]), undefined);
  assertEquals(findAnomaly([failed, get(1, undefined, [3, 4])]), undefined);
  assertEquals(findAnomaly([failed, get(1, 1, [0, 1])])?.length, 2);
});
