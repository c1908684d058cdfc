import type * as oauth from "oauth4webapi";
import { printable } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { type Term, words } from "../../backends/credentials_backend_error.ts";
import { readClaims } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const READ_MS = 5000;

/** A file that holds the client's key or assertion. */
export interface ClientFile {
  readonly path: string;
  /** The option and the variable, for messages. */
  readonly source: Term | string;
}

/**
 * The text of a file with a secret, without outer white space.
 *
 * @throws {ValidMindAuthError} `client_auth_unusable`, `permission_required`.
 */
export function readClientFile(file: ClientFile, groupMayRead = false): string {
  const text = readPrivateFile(file.path, {
    what: "a key or a token",
    maxBytes: 64 * 1024,
    forbiddenMode: groupMayRead ? 0o027 : 0o077,
    timeoutMs: READ_MS,
    fail: (reason, advice, cause) => unusable(file, reason, advice, cause),
  }).trim();
  if (text !== "") return text;
  throw unusable(file, "it is empty", "Have it filled by the program that makes it.");
}

/** The error for a file of the client that cannot be used. */
export function unusable(
  { path, source }: ClientFile,
  reason: string,
  advice: string,
  cause?: unknown,
): ValidMindAuthError {
  const isDenied = cause instanceof Error && cause.name === "NotCapable";
  return new ValidMindAuthError(
    isDenied ? "permission_required" : "client_auth_unusable",
    words`Cannot use ${path} of ${source}: ${reason}. ${advice}`,
  );
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
  const text = readClientFile(file, true);
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return text;
  throw unusable(file, "it is not one JWT", "Check the path, and the program that makes it.");
}

/**
 * The state of the assertion that the provider has refused, in a sentence. The claims are unchecked,
 * and no secret.
 */
export function assertionDoubt(file: ClientFile, now: number): string {
  let claims: Record<string, unknown>;
  try {
    claims = readClaims(readAssertion(file)) ?? {};
  } catch (error) {
    return (error as Error).message;
  }
  if (typeof claims.exp === "number" && claims.exp * 1000 <= now) {
    return `The assertion in ${file.path} has ended: look at the program that renews it.`;
  }
  const words = ["iss", "sub", "aud"].map((name) => `${name} ${shown(claims[name])}`).join(", ");
  return `The assertion in ${file.path} has ${words}: the provider has to trust exactly these for ` +
    `this client, which may take some minutes after a change.`;
}

function shown(value: unknown): string {
  const [text] = Array.isArray(value) ? value : [value];
  return typeof text === "string" ? `"${printable(text, 200)}"` : "none";
}
