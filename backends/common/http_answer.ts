import { untilAborted } from "./promises.ts";

/**
 * The body of an answer as text. The signal ends the reading, also where the caller's `fetch` does not
 * pass signals on. A body over `maxBytes` is cut, and its rest is not read: no JSON object is left of one.
 * `maxBytes` counts after decompression.
 *
 * @param isWhole Whether a text needs no more. It counts then, however its connection ends.
 */
export async function readText(
  response: Response,
  signal: AbortSignal,
  maxBytes = Infinity,
  isWhole: (text: string) => boolean = () => false,
): Promise<string> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), signal);
      if (done) return text + decoder.decode();
      size += value.length;
      text += decoder.decode(value, { stream: true });
      if (size > maxBytes) return text;
    }
  } catch (error) {
    if (isWhole(text)) return text;
    throw error;
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

/**
 * Milliseconds of an HTTP date (RFC 9110, section 5.6.7), else `NaN`. A date without a zone is refused:
 * JavaScript would read it in this computer's zone.
 */
export function parseHttpDate(value: string | null): number {
  if (!value?.trim().endsWith("GMT")) return NaN;
  return Date.parse(value);
}

/**
 * Milliseconds of a `Retry-After` header, which holds whole seconds or a date (RFC 9110, section
 * 10.2.3). `undefined` without a usable value.
 */
export function parseRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,10}$/.test(value.trim())) return Number(value) * 1000;
  const ms = parseHttpDate(value) - Date.now();
  return ms >= 0 ? ms : undefined;
}
