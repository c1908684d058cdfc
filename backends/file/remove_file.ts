import { lookIfPresent } from "../common/judge_path.ts";
import { basename, dirname, join } from "../common/paths.ts";
import { isGranted } from "../common/permission.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { emptyDocument, looksLikeCredentials, readOwnFile, serializeDocument } from "./document.ts";
import { isOwnFolder, removeIfPresent, replaceFile } from "./replace_file.ts";

/**
 * The files whose paths go on after `path` as `ending` says, with that; none where Deno does not permit to
 * look, or where there is no folder or one of a neighbour.
 */
export function filesBeside(path: string, ending: RegExp): { path: string; found: string[] }[] {
  const folder = dirname(path);
  const base = basename(path);
  if (!isGranted({ name: "read", path: folder })) return [];
  try {
    return Array.from(Deno.readDirSync(folder)).flatMap(({ name, isFile }) => {
      const found = name.startsWith(base) && ending.exec(name.slice(base.length));
      return found && isFile ? [{ path: join(folder, name), found }] : [];
    });
  } catch {
    return [];
  }
}

/**
 * Temp files of killed writes, with tokens in them. A temp file of a living process may be among them: that
 * process makes another one for its write.
 */
export function leftFiles(path: string): string[] {
  return filesBeside(path, /^(\.[0-9a-f]{8})*\.tmp$/).map((left) => left.path);
}

/** Removes a file, unless that is refused: it may be a neighbour's. */
export function tryRemove(path: string): void {
  try {
    if (isGranted({ name: "write", path })) removeIfPresent(path);
  } catch {
    // An own file can be removed from a folder that was just written.
  }
}

/**
 * Removes the file, which needs no space. A link without its target would be an error from now on: there an
 * empty file takes its place.
 */
export function removeFile(path: string, given: string, isLocked: boolean): void {
  removeIfPresent(path);
  if (path !== given) replaceFile(path, serializeDocument(emptyDocument()), { isLocked });
}

/** Refuses to delete a file of another user or, where a wrong path may name it, of another program. */
export function assertDeletable(path: string, given: string): void {
  if (!lookIfPresent(path)) return;
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
