/** Part of a file name for any key (FNV-1a): two keys with one hash merely share a lock. */
export function shortHash(key: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
