import { lookIfPresent } from "../common/judge_path.ts";
import { basename, dirname, join } from "../common/paths.ts";
import { isGranted } from "../common/permission.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { emptyDocument, looksLikeCredentials, readOwnFile, serializeDocument } from "./document.ts";
import { isOwnFolder, removeIfPresent, replaceFile } from "./replace_file.ts";

const LEFT = /^(\.[0-9a-f]{8})*\.tmp$/;

/**
 * Temp files of killed writes, with tokens in them. A temp file of a living process may be among them: that
 * process makes another one for its write.
 */
export function leftFiles(path: string): string[] {
  const folder = dirname(path);
  if (!isGranted({ name: "read", path: folder })) return [];
  const name = basename(path);
  const isLeft = (found: Deno.DirEntry) =>
    found.isFile && found.name.startsWith(name) && LEFT.test(found.name.slice(name.length));
  try {
    return Array.from(Deno.readDirSync(folder)).filter(isLeft).map((left) =>
      join(folder, left.name)
    );
  } catch {
    return []; // no folder, or one of a neighbour
  }
}

/** Removes them. */
export function removeLeft(path: string): void {
  for (const left of leftFiles(path)) {
    try {
      removeIfPresent(left);
    } catch {
      // A neighbour's: an own file can be removed from a folder that was just written.
    }
  }
}

/** Removes the file, which needs no space. Its space serves an empty one where a link leads to it. */
export function removeFile(path: string, given: string, isLocked: boolean): void {
  removeIfPresent(path);
  // A link without its target would be an error from now on.
  if (path !== given) replaceFile(path, serializeDocument(emptyDocument()), { isLocked });
}

/** Refuses to delete a file of another user or, where a wrong path may name it, of another program. */
export function assertDeletable(path: string, given: string): void {
  if (lookIfPresent(path) === undefined) return;
  const text = new TextDecoder().decode(readOwnFile(path).bytes);
  const isUsual = basename(path) === "credentials.json" && isOwnFolder(dirname(path));
  const isOwnPlace = isUsual && path === given;
  if (isOwnPlace || looksLikeCredentials(text)) return;
  throw new CredentialsBackendError("backend_corrupt", {
    action: `delete ${path}`,
    reason: "it does not look like a credentials file",
    remedy: "Check the path. If it is the right one, delete the file yourself.",
  });
}
