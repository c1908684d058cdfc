import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { type Message, type Words, words } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";
import { named, type OptionName } from "./declaration.ts";
import { headerValue, type Identity } from "./resolve_identity.ts";

/** A file that an option names, in a message. */
export function fileOf(name: OptionName, path: string): Words {
  return words`${path} of ${named(name)}`;
}

/**
 * The text of a file with a secret that an option names, without outer white space.
 *
 * @throws {ValidMindAuthError} `client_auth_unusable`, `permission_required`.
 */
export function readSecretFile(name: OptionName, path: string, groupMayRead = false): string {
  const text = readPrivateFile(path, {
    what: "a key or a token",
    maxBytes: 64 * 1024,
    forbiddenMode: groupMayRead ? 0o027 : 0o077,
    fail: (reason, advice, cause) => unusable(fileOf(name, path), reason, advice, cause),
  }).trim();
  if (text !== "") return text;
  const advice = "Have it filled by the program that makes it.";
  throw unusable(fileOf(name, path), "it is empty", advice);
}

/** Reads the secret of an API key, where it is in a file. */
export function readApiSecret(identity: Identity, action: string): void {
  if (identity.kind !== "api_key" || identity.apiSecretFile === undefined) return;
  const text = readSecretFile("apiSecretFile", identity.apiSecretFile);
  identity.apiSecret = headerValue(text, "apiSecretFile", action);
}

/** The error for a secret that cannot be used. */
export function unusable(
  subject: Message,
  reason: string,
  advice: string,
  cause?: unknown,
): ValidMindAuthError {
  const isDenied = cause instanceof Error && cause.name === "NotCapable";
  return new ValidMindAuthError(
    isDenied ? "permission_required" : "client_auth_unusable",
    words`Cannot use ${subject}: ${reason}. ${advice}`,
    cause === undefined ? {} : { cause },
  );
}
