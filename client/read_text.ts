import { untilAborted } from "../backends/until_aborted.ts";

/**
 * The body of an answer as text. The signal ends it, also where the body comes from a `fetch` of
 * the caller's that does not pass signals on.
 *
 * @returns `undefined` when the body is larger than `maxBytes`; the rest of it is not read.
 */
export async function readText(
  response: Response,
  signal: AbortSignal,
  maxBytes = Infinity,
): Promise<string | undefined> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await untilAborted(reader.read(), signal);
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > maxBytes) return undefined;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
