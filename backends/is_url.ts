/** Whether a store's path is the address of a KV Connect server. */
export function isUrl(path: string): boolean {
  return /^https?:/.test(path);
}
