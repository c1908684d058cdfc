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
