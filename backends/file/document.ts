import { HOME_VARIABLE, readEnv } from "../common/environment.ts";
import { isObject, type Json, parseObject } from "../common/json.ts";
import { faultOfOwner, lookIfPresent } from "../common/judge_path.ts";
import { basename, dirname, isAbsolute, join } from "../common/paths.ts";
import { isGranted } from "../common/permission.ts";
import { printable } from "../common/printable.ts";
import { type PrivateContent, readPrivateBytes } from "../common/read_private_file.ts";
import {
  corruptEntry,
  CredentialsBackendError,
  SIGN_OUT_OF_ALL,
} from "../credentials_backend_error.ts";
import type { BackendPermission, OidcCredentials } from "../oidc_credentials_backend.ts";
import { fileError, IN_CONTAINER, isLinkToNothing, refuse } from "./faults.ts";

/**
 * The credentials file that this module shares with the ValidMind Python library:
 * `~/.validmind/credentials.json`. Accesses no file.
 *
 * Needs `--allow-env=HOME` (`--allow-env=USERPROFILE` on Windows).
 *
 * @returns The absolute path.
 * @throws {CredentialsBackendError} `permission_required` when Deno denies the variable;
 * `home_unset` when it is not set.
 * @category Backends
 *
 * @example
 * ```ts
 * import { credentialsPath } from "@validmind/auth";
 * import { assert } from "@std/assert";
 *
 * assert(credentialsPath().includes(".validmind"));
 * ```
 */
export function credentialsPath(): string {
  const home = readEnv(HOME_VARIABLE, "find the credentials file");
  if (home === undefined || !isAbsolute(home)) {
    throw new CredentialsBackendError("home_unset", {
      action: "find the credentials file",
      reason: `${HOME_VARIABLE} is not set to a whole path`,
      remedy:
        'Set it. Or give the file store its option "path", and another store its "lockFolder". ' +
        IN_CONTAINER,
    });
  }
  return join(home, ".validmind", "credentials.json");
}

/**
 * Read and write of a folder, also of the one behind a link, such as of a home on another disk: Deno judges
 * a look at an open file by its real path.
 */
export function readAndWrite(folder: string): BackendPermission[] {
  const folders = new Set([folder, realPathIfGranted(folder)]);
  return [...folders].flatMap((path) => [{ name: "read", path }, { name: "write", path }] as const);
}

/** What storing takes in a folder, with the home folder's variable where the path comes from it. */
export function folderNeeds(folder: string, isBelowHome: boolean): BackendPermission[] {
  return [
    ...readAndWrite(folder).map((permission) => ({ ...permission, need: "sign_in" } as const)),
    ...isBelowHome ? [{ name: "env", variable: HOME_VARIABLE } as const] : [],
  ];
}

/** The largest credentials file: some 10,000 entries. */
const LARGEST_BYTES = 64 * 1024 * 1024;

/**
 * Reads a credentials file of this user, or of the superuser. One that is open to others is read, and
 * closed by the next write.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `backend_unavailable`. Deno's own errors pass
 * unchanged.
 */
export function readOwnFile(path: string): PrivateContent {
  return readPrivateBytes(path, {
    what: "any credentials file",
    maxBytes: LARGEST_BYTES,
    forbiddenMode: 0,
    fail: (reason, remedy, cause) => {
      if (cause instanceof Error) return cause;
      const parts = { action: `read ${path}`, reason, remedy };
      return new CredentialsBackendError("backend_denied", parts);
    },
  });
}

/** The path of the file itself, also where the given path is a link to it. A planted link is refused. */
export function resolveLink(path: string): string {
  let target = path;
  try {
    const link = lookIfPresent(path);
    if (!link?.isSymlink) return path;
    target = Deno.realPathSync(path);
    const isOfOwner = link.uid === 0 || link.uid === Deno.lstatSync(target).uid;
    if (!isOfOwner) refuse("write", path, faultOfOwner(path, link));
    return target;
  } catch (error) {
    throw fileError("write", target, error); // a missing permission is the one for the target
  }
}

/** The path without links, as far as Deno permits to look. */
export function realPathIfGranted(path: string): string {
  for (const [known, rest] of [[path, ""], [dirname(path), basename(path)]] as const) {
    try {
      if (isGranted({ name: "read", path: known })) return join(Deno.realPathSync(known), rest);
    } catch {
      // There is no file yet.
    }
  }
  return path;
}

/** The highest version of the credentials file that this module writes. */
const VERSION = 1;

/** The credentials file as JSON: shared with the ValidMind Python library. */
export interface CredentialsDocument {
  version: number;
  /** Without a prototype: a key may be "constructor" or "__proto__". */
  credentials: Record<string, unknown>;
  [field: string]: unknown;
}

/** The document in the file at `path`, and the file as it was before; an empty document without a file. */
export function readDocument(path: string): {
  document: CredentialsDocument;
  info: Deno.FileInfo | undefined;
} {
  try {
    const { bytes, info } = readOwnFile(path);
    return { document: parseDocument(bytes, path), info };
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound;
    if (isMissing && ![path, dirname(path)].some(isLinkToNothing)) {
      return { document: emptyDocument(), info: undefined };
    }
    throw fileError("read", path, error);
  }
}

/** The document that the first write begins with. */
export function emptyDocument(): CredentialsDocument {
  return { version: VERSION, credentials: Object.create(null) };
}

/**
 * Parses the file's text. The error has no cause: V8's own message quotes the text around the fault, and
 * that text is tokens.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`.
 */
function parseDocument(bytes: Uint8Array, path: string): CredentialsDocument {
  let value: Json | undefined;
  try {
    value = parseObject(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // It is not UTF-8.
  }
  if (!value) throw corrupt(path, "it is not a JSON object in UTF-8");
  // A wrong path may name another program's JSON file, which must not get credentials written into it.
  const isEmpty = Object.keys(value).every((name) => name === "version" || name === "credentials");
  const version = value.version ?? VERSION;
  const isNew = isEmpty && (value.credentials ?? null) === null;
  const credentials = isNew ? {} : value.credentials;
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw corrupt(path, `its "version" is not a positive whole number`);
  }
  if (isObject(credentials)) {
    return { ...value, version, credentials: Object.setPrototypeOf(credentials, null) };
  }
  if (version > VERSION) throw newerVersion(path, version);
  throw corrupt(path, `it has no "credentials" object`);
}

/** The text that a document is written as. */
export function serializeDocument(document: CredentialsDocument): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/**
 * The entry in a row; `undefined` where there is none. `null` means absent.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`.
 */
export function getEntry(
  document: CredentialsDocument,
  key: string,
  path: string,
): OidcCredentials | undefined {
  const entry = document.credentials[key] ?? undefined;
  if (entry === undefined) return undefined;
  if (isObject(entry)) return entry as OidcCredentials;
  const reason = `the entry for "${printable(key)}" is not an object`;
  throw corruptEntry(`read credentials from ${path}`, reason);
}

/**
 * Refuses to change a file that a newer program wrote.
 *
 * @throws {CredentialsBackendError} `backend_version`.
 */
export function assertWritable({ version }: CredentialsDocument, path: string): void {
  if (version > VERSION) throw newerVersion(path, version);
}

/** An empty file, one with nothing but a version, or one that begins like a credentials file. */
const CREDENTIALS = /^(\{[^{}[\]]*"credentials"\s*:\s*\{.*|\{\s*("version"\s*:\s*\d+\s*)?\}|)$/s;

/** Whether a text is a credentials file, whole or damaged, rather than another program's file. */
export function looksLikeCredentials(text: string): boolean {
  return CREDENTIALS.test(text.trim());
}

function newerVersion(path: string, version: number) {
  return new CredentialsBackendError("backend_version", {
    action: `change ${path}`,
    reason: `it has version ${version}, and this release writes version ${VERSION}`,
    remedy: "Update @validmind/auth, or use another path.",
  });
}

function corrupt(path: string, reason: string) {
  return new CredentialsBackendError("backend_corrupt", {
    action: `read credentials from ${path}`,
    reason,
    remedy:
      `Nothing was changed. Repair the file, or delete it and sign in again: ${SIGN_OUT_OF_ALL} ` +
      "deletes a damaged credentials file, and no other.",
    signOut: "all",
  });
}
