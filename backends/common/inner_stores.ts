import { backendName } from "./describe_backend.ts";
import { INNER, type Marked } from "./marks.ts";

/** Whether two backends lead to one store, or share one within them, as far as can be told. */
export function shareStore(one: Marked, other: Marked): boolean {
  const inner = one[INNER];
  if (inner !== undefined) return inner.some((store) => shareStore(store, other));
  if (other[INNER] !== undefined) return shareStore(other, one);
  return one === other || one.storeId !== undefined && one.storeId === other.storeId;
}

/** One identity of several; `undefined` where a part has none. */
export function joinIds(...ids: readonly (string | undefined)[]): string | undefined {
  return ids.includes(undefined) ? undefined : JSON.stringify(ids);
}

/** Whether a store, or one within it, is in Deno KV, which needs `--unstable-kv`. */
export function isInKv(backend: Marked): boolean {
  return backendName(backend) === "KvCredentialsBackend" || backend[INNER]?.some(isInKv) === true;
}
