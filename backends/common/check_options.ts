import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/**
 * Refuses what is not an options object, and names the first option that is not known: an option
 * accepted and then ignored is worse than an error.
 */
export function checkOptions(action: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(action, "its options are not an object", `Pass { ${known.join(", ")} }.`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const offer = known.length === 0 ? "It takes none." : `It takes: ${known.join(", ")}.`;
  throw invalid(action, `unknown option "${unknown}"`, offer);
}

/** Refuses what is not a path that Deno understands as it stands. */
export function checkPathOption(action: string, path: unknown, name = "path"): void {
  if (typeof path !== "string" || path.trim() === "") {
    throw invalid(
      action,
      `option "${name}" is not a non-empty string`,
      "Give a path, or leave it out.",
    );
  }
  if (/^(~[/\\]|file:)/.test(path)) {
    throw invalid(
      action,
      `option "${name}" is ${JSON.stringify(path)}, which only a shell or a browser understands`,
      'Give a plain path (in the KWARGS variable: "${HOME}/…").',
    );
  }
}

/** Refuses what is not a text with something in it. */
export function checkTextOption(action: string, name: string, value: unknown): void {
  if (typeof value === "string" && value.trim() !== "") return;
  throw invalid(
    action,
    `option "${name}" is not a non-empty string`,
    "Give one, or leave it out.",
  );
}

/** Refuses what is not a number of milliseconds. */
export function checkTimeoutOption(action: string, name: string, ms: unknown): void {
  if (typeof ms === "number" && ms >= 0) return;
  throw invalid(
    action,
    `option "${name}" is not a number of milliseconds`,
    "Give one of 0 or more, or leave it out.",
  );
}

/** Refuses what cannot be called. */
export function checkFunctionOption(action: string, name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw invalid(action, `option "${name}" is not a function`, "Give one, or leave it out.");
}

function invalid(action: string, reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action}: ${reason}. ${advice}`,
  );
}

/**
 * Refuses an object that lacks one of the three methods, and names the first that is missing.
 *
 * @param value What should be a backend.
 * @param origin Where it came from, as in "Cannot use {origin} as a credentials backend".
 */
export function assertCredentialsBackend(
  value: unknown,
  origin: string,
): asserts value is OidcCredentialsBackend {
  const missing = ["get", "put", "delete"].find((method) =>
    typeof (value as Record<string, unknown> | null | undefined)?.[method] !== "function"
  );
  if (missing === undefined) return;
  throw new CredentialsBackendError(
    "invalid_backend",
    `Cannot use ${origin} as a credentials backend: it has no method ${missing}(). ` +
      `Implement get, put and delete as OidcCredentialsBackend describes.`,
  );
}
