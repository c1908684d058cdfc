import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { type CredentialsDocument, parseDocument } from "./credentials_document.ts";

/** A file of this size is parsed sooner than the next look at it is worth keeping it for. */
const SMALL_BYTES = 64 * 1024;
/** A change within this time of the last one may leave the same timestamp: as long as any clock ticks. */
const RACY_MS = 2000;

/**
 * Reads the credentials file. What a large one held is kept, and used again for as long as the file
 * is the same one, of the same size and age.
 */
export class FileReader {
  readonly #path: string;
  #kept: { state: string; document: CredentialsDocument } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether what was read last is kept, and so must not be handed out to be changed. */
  get isKept(): boolean {
    return this.#kept !== undefined;
  }

  /** What the file holds, or `undefined` where there is none. */
  read(): CredentialsDocument | undefined {
    try {
      const kept = this.#kept;
      const isSame = kept !== undefined && kept.state === fileState(this.#path);
      return isSame ? kept.document : this.#readAnew();
    } catch (error) {
      if (isMissing(this.#path, error)) return undefined;
      throw fileError("read", this.#path, error);
    }
  }

  #readAnew(): CredentialsDocument {
    this.#kept = undefined;
    const bytes = Deno.readFileSync(this.#path);
    if (bytes.length < SMALL_BYTES) return parseDocument(bytes, this.#path);
    // Looked at before the read that counts: of two contents, the state is never the later one's.
    const state = fileState(this.#path);
    const document = parseDocument(Deno.readFileSync(this.#path), this.#path);
    if (state !== undefined) this.#kept = { state, document };
    return document;
  }
}

/** Whether an error says that nothing is there; a link that leads nowhere is something. */
export function isMissing(path: string, error: unknown): boolean {
  return error instanceof Deno.errors.NotFound && !isLink(path);
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

/** What tells one content from another; `undefined` while the content is too young for that. */
function fileState(path: string): string | undefined {
  const { dev, ino, size, mtime } = Deno.statSync(path);
  if (!ino || mtime === null || Date.now() - mtime.getTime() < RACY_MS) return undefined;
  return `${dev} ${ino} ${size} ${mtime.getTime()}`;
}

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
