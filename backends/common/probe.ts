import { hashOf } from "./bytes.ts";
import { INNER, type Marked, PROVES } from "./marks.ts";

/** Whether a store proves its own writes. A wrapper does where all of its stores do. */
export function provesWrites(backend: Marked): boolean {
  return backend[INNER]?.every(provesWrites) ?? backend[PROVES] === true;
}

/** The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. */
export async function probeKey(key: string): Promise<string> {
  return `probe|${(await hashOf(key)).slice(0, 16)}`;
}

/** Whether a key is one of a probe entry, which no list shows; also below an encryption. */
export function isProbeKey(key: string): boolean {
  return /^(encrypted\|)?probe\|/.test(key);
}
