import type * as oauth from "oauth4webapi";
import { needDeno, permissionFlag, quoteArgument } from "../../backends/common/platform.ts";
import { printable, readFault } from "../../backends/common/printable.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { assertOwn, isSameFile } from "../../backends/file/file_access.ts";
import { readClaims } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { formatTime } from "../prompt/prompt.ts";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/** Far above any key or token, and little to keep in memory. */
const LARGEST_BYTES = 64 * 1024;
/** Another program may replace a file between two steps, but hardly each time. */
const TRIES = 5;
const FOR_OTHERS = 0o077;
const WRITABLE_FOR_ALL = 0o002;

/** A file that holds the client's key or assertion. */
export interface ClientFile {
  readonly path: string;
  /** The option and the variable, for messages. */
  readonly source: string;
}

/**
 * The text of a file with a secret, without outer white space.
 *
 * Links are followed: Kubernetes puts a renewed token in place by turning a link. The file itself has
 * to be a regular one. It belongs to the superuser and is not writable for all, or to the user and is
 * closed to others.
 *
 * @throws {ValidMindAuthError} `client_auth_unusable`, `permission_required`.
 */
export function readClientFile(file: ClientFile): string {
  needDeno(`use ${file.path} of ${file.source}`, "Use clientSecret (VM_OIDC_CLIENT_SECRET).");
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const text = readOnce(file);
      if (text === undefined) continue;
      if (text !== "") return text;
      throw unusable(file, "it is empty", "Have it filled by the program that makes it.");
    }
  } catch (error) {
    throw fileError(file, error);
  }
  throw unusable(file, "another program keeps replacing it", "Try again.");
}

/** `undefined` where the file was replaced or written meanwhile: half a token may look like one. */
function readOnce(file: ClientFile): string | undefined {
  const { path } = file;
  const info = Deno.statSync(path);
  assertUsable(file, info);
  const { isSymlink, uid } = Deno.lstatSync(path);
  if (isSymlink && uid !== null && uid !== 0 && uid !== info.uid) {
    throw unusable(file, "it is a link of another user", "Remove it, and look at what it led to.");
  }
  // Not by an open file: Deno opens no link for which the path of its target is not granted, too.
  const text = Deno.readTextFileSync(path);
  return isUnchanged(info, Deno.statSync(path)) ? text.trim() : undefined;
}

function isUnchanged(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  return isSameFile(one, other) && one.size === other.size &&
    one.mtime?.getTime() === other.mtime?.getTime();
}

/** Refuses a file before it is opened: a named pipe would wait for ever. */
function assertUsable(file: ClientFile, info: Deno.FileInfo): void {
  const { path } = file;
  if (!info.isFile) {
    throw unusable(file, "it is no regular file", "Give the path of the file itself.");
  }
  if (info.size > LARGEST_BYTES) {
    const reason = `its ${info.size} bytes are more than a key or a token has`;
    throw unusable(file, reason, "Check the path.");
  }
  if (info.uid === null || info.mode === null) return; // Windows
  if (info.uid === 0) { // the superuser, as in the mounts of a cluster
    if ((info.mode & WRITABLE_FOR_ALL) === 0) return;
    throw unusable(file, "all users may write it", `Close it: chmod o-w ${quoteArgument(path)}`);
  }
  if ((info.mode & FOR_OTHERS) !== 0) {
    const mode = (info.mode & 0o777).toString(8).padStart(4, "0");
    throw unusable(
      file,
      `others may read it (mode ${mode})`,
      `Close it: chmod 600 ${quoteArgument(path)}`,
    );
  }
  assertOwn("read", path, info);
}

/** The error for a file of the client that cannot be used. */
export function unusable(
  { path, source }: ClientFile,
  reason: string,
  advice: string,
): ValidMindAuthError {
  return new ValidMindAuthError(
    "client_auth_unusable",
    `Cannot use ${path} of ${source}: ${reason}. ${advice}`,
  );
}

function fileError(file: ClientFile, error: unknown): Error {
  if (error instanceof ValidMindAuthError) return error;
  if (error instanceof CredentialsBackendError) {
    const reason = "it belongs to another user";
    return unusable(
      file,
      reason,
      "Have it owned by the user of this process, or by the superuser.",
    );
  }
  if (error instanceof Deno.errors.NotCapable) {
    return new ValidMindAuthError(
      "permission_required",
      `Cannot use ${file.path} of ${file.source}: Deno does not permit it. Run with ` +
        permissionFlag("read", file.path),
    );
  }
  if (error instanceof Deno.errors.NotFound) {
    return unusable(file, "it is not there", "Check the path, and the program that makes it.");
  }
  return unusable(file, readFault(error), "Check the path, its owner and its mode.");
}

/**
 * The client proves who it is by an assertion that somebody else has made: RFC 7523, section 2.2. The
 * file is read anew for each request, since the platform replaces it all the time.
 */
export function byAssertionFile(file: ClientFile): oauth.ClientAuth {
  return (_server, { client_id }, body) => {
    body.set("client_id", client_id);
    body.set("client_assertion_type", ASSERTION_TYPE);
    body.set("client_assertion", readAssertion(file));
  };
}

/** The JWT in the file. */
function readAssertion(file: ClientFile): string {
  const text = readClientFile(file);
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  const advice = "Check the path, and the program that makes it.";
  throw unusable(file, /^</.test(text) ? "it is a page, not a token" : "it is not one JWT", advice);
}

/**
 * The state of the assertion that the provider has refused, in a sentence. The claims are unchecked,
 * and no secret.
 */
export function assertionDoubt(file: ClientFile, now: number): string {
  let claims: Record<string, unknown> | undefined;
  try {
    claims = readClaims(readAssertion(file));
  } catch (error) {
    return (error as Error).message;
  }
  if (claims === undefined) return `The assertion in ${file.path} is no readable JWT.`;
  const { exp, nbf, iss, sub, aud } = claims;
  if (typeof exp === "number" && exp * 1000 <= now) {
    return `The assertion in ${file.path} ended at ${
      timeOf(exp)
    }: look at the program that renews it.`;
  }
  if (typeof nbf === "number" && nbf * 1000 > now) {
    return `The assertion in ${file.path} begins at ${timeOf(nbf)}: check this computer's clock.`;
  }
  const words = [["issuer", iss], ["subject", sub], ["audience", aud]]
    .map(([name, value]) => `${name} ${shown(value)}`).join(", ");
  return `The assertion in ${file.path} has ${words}: the provider has to trust exactly these for ` +
    `this client. It may need some minutes to know a new trust.`;
}

/** A date that cannot be shown is out of range. */
function timeOf(seconds: number): string {
  const ms = seconds * 1000;
  return Number.isNaN(new Date(ms).getTime()) ? "no real time" : formatTime(ms);
}

function shown(value: unknown): string {
  const [text] = Array.isArray(value) ? value : [value];
  return typeof text === "string" ? `"${printable(text, 200)}"` : "none";
}
