import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { looksLikeCredentials } from "./edit_document.ts";
import { assertOwnLink, fileError, lstatIfPresent, readOwnFile } from "./file_access.ts";

/** The target of a link; the path itself where it is no link, or nothing is there yet. */
export function resolveLink(path: string): string {
  const link = lstatIfPresent(path);
  if (!link?.isSymlink) return path;
  const target = Deno.realPathSync(path);
  try {
    assertOwnLink("write", path, link, Deno.lstatSync(target));
  } catch (error) {
    throw fileError("write", target, error); // a missing permission is the one for the target
  }
  return target;
}

/** Whether the path alone marks a credentials file: the place of the default one. */
function isOwnPlace(path: string): boolean {
  return /(^|[/\\])\.validmind[/\\]credentials\.json$/.test(path);
}

/** Refuses to delete a file of another user or, where a wrong path may name it, of another program. */
export function assertDeletable(path: string, given: string): void {
  let text: string;
  try {
    text = new TextDecoder().decode(readOwnFile(path).bytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (path === given && isOwnPlace(path) || looksLikeCredentials(text)) return;
  throw new CredentialsBackendError(
    "backend_corrupt",
    `Cannot delete ${path}: it does not look like a credentials file. Check the path; if it is the ` +
      `right one, delete the file yourself.`,
  );
}
