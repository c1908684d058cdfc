import { isSameFile } from "../../../backends/file/file_access.ts";
import {
  HOME_VARIABLE,
  isGranted,
  isWindows,
  quoteArgument,
  readEnvIfGranted,
} from "../../../backends/common/platform.ts";
import { readFault } from "../../../backends/common/printable.ts";
import { SettingsError } from "./settings_error.ts";

/** More than any settings have. */
const LARGEST_BYTES = 64 * 1024;
const WRITABLE_FOR_OTHERS = 0o022;
const FOR_OTHERS = 0o077;
/** Another program may replace the file between two steps, but hardly each time. */
const TRIES = 5;

/** The variables that lead to the file. */
export const PLACE_VARIABLES: readonly string[] = isWindows
  ? ["APPDATA"]
  : ["XDG_CONFIG_HOME", HOME_VARIABLE];

/**
 * The usual place of the file; `undefined` where no variable that may be read leads to it. A relative
 * `XDG_CONFIG_HOME` counts as unset, as its specification says.
 */
export function usualPlace(os: typeof Deno.build.os = Deno.build.os): string | undefined {
  if (os === "windows") {
    const folder = readEnvIfGranted("APPDATA");
    return folder && `${folder}\\validmind-auth\\config.json`;
  }
  const set = readEnvIfGranted("XDG_CONFIG_HOME");
  const home = readEnvIfGranted("HOME");
  const folder = set?.startsWith("/") ? set : home && `${home.replace(/\/+$/, "")}/.config`;
  return folder && `${folder.replace(/\/+$/, "")}/validmind-auth/config.json`;
}

/** A file's text, or the reason why it was left alone: a command can do without. */
export type SettingsText =
  | { readonly state: "read"; readonly text: string }
  | { readonly state: "absent" }
  | { readonly state: "denied"; readonly reason: string; readonly advice: string };

/**
 * Reads the file, which may be anybody's: only a regular file of this user, or of the superuser, that
 * nobody else can write is used. A link to such a file is followed, since people keep their settings
 * elsewhere.
 *
 * @throws {SettingsError} For any other file.
 */
export function readSettingsText(path: string): SettingsText {
  if (!isGranted({ name: "read", path })) return denied(path);
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = readOnce(path);
      if (found !== undefined) return found;
    }
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    const { NotADirectory, NotCapable, NotFound, PermissionDenied } = Deno.errors;
    if (error instanceof NotADirectory) return { state: "absent" };
    if (error instanceof NotFound && !isLink(path)) return { state: "absent" };
    if (error instanceof NotCapable) return denied(targetOf(path));
    if (error instanceof PermissionDenied) {
      const advice = "Check the owner and mode of it and its folder.";
      return { state: "denied", reason: "the operating system denies it", advice };
    }
    throw unreadable(path, error);
  }
  throw new SettingsError(path, "another program keeps changing it", "Try again.");
}

/** `undefined` where the file was replaced meanwhile. */
function readOnce(path: string): SettingsText | undefined {
  const found = Deno.statSync(path);
  // Before it is opened: a named pipe would wait for ever.
  if (!found.isFile) throw new SettingsError(path, "it is no regular file", "Give a file.");
  using file = Deno.openSync(path);
  const info = file.statSync();
  if (!isSameFile(info, found)) return undefined;
  assertOnlyOwnerWrites(path, info);
  if (isOfUnknownUser(info)) {
    const reason = "Deno does not permit to learn whose it is, and others may read it";
    return { state: "denied", reason, advice: "Run with --allow-sys=uid, too." };
  }
  if (info.size > LARGEST_BYTES) {
    const reason = `its ${info.size} bytes are more than settings have`;
    throw new SettingsError(path, reason, "Check the path.");
  }
  return { state: "read", text: readText(path, file) };
}

function readText(path: string, file: Deno.FsFile): string {
  const buffer = new Uint8Array(LARGEST_BYTES);
  let length = 0;
  for (;;) {
    const count = file.readSync(buffer.subarray(length));
    if (!count) break; // the end, or as much as there may be
    length += count;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length));
  } catch {
    throw new SettingsError(path, "it is no UTF-8 text", "Save it as UTF-8.");
  }
}

/** Who else could write it could lead the person to a provider of their own. Windows has no modes. */
function assertOnlyOwnerWrites(path: string, { uid, mode }: Deno.FileInfo): void {
  if (uid === null || mode === null) return;
  if ((mode & WRITABLE_FOR_OTHERS) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    const advice = `Close it: chmod go-w ${quoteArgument(path)}`;
    throw new SettingsError(path, `others may write it (mode ${shown})`, advice);
  }
  const self = ownUid();
  if (uid === 0 || self === undefined || uid === self) return;
  const reason = `it belongs to another user (uid ${uid})`;
  throw new SettingsError(path, reason, "Use a file of your own.");
}

/** A file that only its owner may read is this user's where it has opened. */
function isOfUnknownUser({ uid, mode }: Deno.FileInfo): boolean {
  return uid !== null && uid !== 0 && ownUid() === undefined && (mode! & FOR_OTHERS) !== 0;
}

function ownUid(): number | undefined {
  return isGranted({ name: "sys", kind: "uid" }) ? Deno.uid() ?? undefined : undefined;
}

function denied(path: string): SettingsText {
  const advice = `Run with ${quoteArgument(`--allow-read=${path}`)}, too.`;
  return { state: "denied", reason: "Deno does not permit it", advice };
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

/** The file that a link leads to; else the path itself. Deno wants a grant for both. */
export function targetOf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function unreadable(path: string, error: unknown): SettingsError {
  if (error instanceof Deno.errors.NotFound) {
    return new SettingsError(path, "it is a link to nothing", "Mend the link, or remove it.");
  }
  return new SettingsError(path, readFault(error), "Check the path.");
}
