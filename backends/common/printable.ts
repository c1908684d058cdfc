import { untilAborted } from "./delay.ts";

/** Text from outside as it may be shown: without control characters, and not longer than `limit`. */
export function printable(text: string, limit = 200): string {
  // \p{C}: control and format characters, among them escape sequences and direction overrides.
  const clean = text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}

/**
 * An error as it may become a cause. Deno's own say where a connection failed; one of a caller's
 * `fetch` may carry the whole request, tokens included, and is left out.
 */
export function safeCause(error: unknown): { cause?: unknown } {
  if (!(error instanceof Error)) return {};
  const isOwn = error instanceof TypeError || error instanceof DOMException ||
    Object.values(Deno.errors).some((known) => error instanceof known);
  return isOwn && isBare(error) ? { cause: error } : {};
}

/** Whether an error carries nothing beside its text, and its cause, if any, is as bare. */
function isBare(error: Error): boolean {
  const { cause } = error;
  const isCauseBare = cause === undefined ||
    (cause instanceof Error && cause.constructor === Error && isBare(cause));
  return isCauseBare && Object.keys(error).every((name) => name === "code" || name === "name");
}

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
