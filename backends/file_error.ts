import { CredentialsBackendError } from "./credentials_backend_error.ts";

/** The coded error for a failed file operation: "Cannot {action} {path}: reason. What to do." */
export function fileError(
  action: string,
  path: string,
  error: unknown,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const [code, reason, advice] = explain(path, error);
  return new CredentialsBackendError(
    code,
    `Cannot ${action} ${path}: ${reason}. ${advice}`,
    { cause: error },
  );
}

type Explanation = [code: CredentialsBackendError["code"], reason: string, advice: string];

function explain(path: string, error: unknown): Explanation {
  if (error instanceof Deno.errors.NotCapable) {
    const flags = fileFlags(path);
    return ["permission_required", "Deno does not permit it", `Run with: ${flags}`];
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return [
      "backend_denied",
      "the operating system denies it",
      "Check the owner and mode of it and its folder.",
    ];
  }
  switch (osCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return ["backend_full", "no space is left", "Free some space; what was stored is kept."];
    case "EROFS":
      return ["backend_unavailable", "the file system is read-only", "Use another path."];
    case "EISDIR":
      return ["backend_unavailable", "it is a directory", "Remove it, or use another path."];
    case "ENOTDIR":
      return ["backend_unavailable", "a folder of its path is a file", "Use another path."];
    case "ELOOP":
      return ["backend_unavailable", "its symbolic links form a loop", "Use another path."];
    case "ENOENT":
      return ["backend_unavailable", "it is a link to nothing", "Remove or repair the link."];
  }
  const name = error instanceof Error ? error.name : "unknown error";
  return [
    "backend_unavailable",
    `${name}${osCode(error) ? ` (${osCode(error)})` : ""}`,
    "Check the path and its file system.",
  ];
}

function osCode(error: unknown): string | undefined {
  return error instanceof Error ? (error as { code?: string }).code : undefined;
}

/** The narrowest flags for a file that is replaced by rename: its folder holds the temp file. */
function fileFlags(path: string): string {
  const folder = path.replace(/[/\\][^/\\]*$/, "") || "/";
  const grant = folder === path ? "." : folder;
  return `--allow-read=${grant} --allow-write=${grant}`;
}
