import { backendName, locationOf } from "./describe_backend.ts";
import { INNER, type Marked } from "./marks.ts";

/** Whether two backends lead to one store, or share one within them, as far as can be told. */
export function shareStore(one: Marked, other: Marked): boolean {
  const inner = one[INNER];
  if (inner !== undefined) return inner.some((store) => shareStore(store, other));
  if (other[INNER] !== undefined) return shareStore(other, one);
  const place = one.persistent === true ? locationOf(one) : undefined;
  return one === other || place !== undefined && place === locationOf(other);
}

/** Whether a store, or one within it, is in Deno KV, which needs `--unstable-kv`. */
export function isInKv(backend: Marked): boolean {
  return backendName(backend) === "KvCredentialsBackend" || backend[INNER]?.some(isInKv) === true;
}
