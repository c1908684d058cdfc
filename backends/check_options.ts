import { CredentialsBackendError } from "./credentials_backend_error.ts";

/**
 * Refuses what is not an options object, and names the first option that is not known: an option
 * accepted and then ignored is worse than an error.
 */
export function checkOptions(owner: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(owner, "its options are not an object", `Pass { ${known.join(", ")} }.`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const offer = known.length === 0 ? "It takes none." : `It takes: ${known.join(", ")}.`;
  throw invalid(owner, `unknown option "${unknown}"`, offer);
}

/** Refuses what is not a path that Deno understands as it stands. */
export function checkPathOption(owner: string, path: unknown): void {
  if (typeof path !== "string" || path.trim() === "") {
    throw invalid(
      owner,
      `option "path" is not a non-empty string`,
      "Give a path, or leave it out.",
    );
  }
  if (/^(~[/\\]|file:)/.test(path)) {
    throw invalid(
      owner,
      `option "path" is ${JSON.stringify(path)}, which only a shell or a browser understands`,
      'Give a plain path (in the KWARGS variable: "${HOME}/…").',
    );
  }
}

/** Refuses what is not a number of milliseconds. */
export function checkTimeoutOption(owner: string, name: string, ms: unknown): void {
  if (typeof ms === "number" && ms >= 0) return;
  throw invalid(
    owner,
    `option "${name}" is not a number of milliseconds`,
    "Give one of 0 or more, or leave it out.",
  );
}

function invalid(owner: string, reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "invalid_options",
    `Cannot create ${owner}: ${reason}. ${advice}`,
  );
}
