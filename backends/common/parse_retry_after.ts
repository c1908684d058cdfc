/**
 * Milliseconds of a `Retry-After` header, which holds whole seconds or a date (RFC 9110, section
 * 10.2.3). `undefined` without a usable value.
 */
export function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
