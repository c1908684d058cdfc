import { untilAborted } from "../backends/delay.ts";

/**
 * The body of an answer as text. The signal ends it, also where the body comes from a `fetch` of
 * the caller's that does not pass signals on.
 *
 * @param overflow What becomes of a body that is larger than `maxBytes`, whose rest is not read.
 * @returns The text; `undefined` when it is too large and not to be cut.
 */
export async function readText(
  response: Response,
  signal: AbortSignal,
  maxBytes = Infinity,
  overflow: "refuse" | "cut" = "refuse",
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
      if (size > maxBytes && overflow === "refuse") return undefined;
      text += decoder.decode(value, { stream: true });
      if (size > maxBytes) return text;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
