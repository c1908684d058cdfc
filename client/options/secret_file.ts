import { isNotCapable } from "../../backends/common/permission.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { ValidMindAuthError } from "../errors.ts";
import { named, type OptionName, optionRow } from "./declaration.ts";
import { headerValue, type Identity } from "./resolve_identity.ts";

/** A file that an option names, in a message. */
export function fileOf(name: OptionName, path: string): string {
  return `${path} of ${named(name)}`;
}

/**
 * The text of a file with a secret that an option names, without outer white space.
 *
 * @param fail Makes the error to throw.
 * @throws {ValidMindAuthError} `client_auth_unusable`, `permission_required`.
 */
export function readSecretFile(
  name: OptionName,
  path: string,
  fail = (...why: Reason) => unusable(fileOf(name, path), ...why),
): string {
  const { isOfPlatform } = optionRow(name);
  const text = readPrivateFile(path, {
    what: "a key or a token",
    forbiddenMode: isOfPlatform && 0o027 || 0o077,
    fail,
  }).trim();
  if (text !== "") return text;
  throw fail("it is empty", "Have it filled by the program that makes it.");
}

/** Reads the secret of an API key, where it is in a file. */
export function readApiSecret(identity: Identity, action: string): void {
  if (identity.kind !== "api_key" || identity.apiSecretFile === undefined) return;
  const text = readSecretFile("apiSecretFile", identity.apiSecretFile);
  identity.apiSecret = headerValue(text, "apiSecretFile", action);
}

type Reason = [reason: string, advice: string, cause?: unknown];

/** The error for a secret that cannot be used. */
export function unusable(subject: string, ...[reason, advice, cause]: Reason): ValidMindAuthError {
  return new ValidMindAuthError(
    isNotCapable(cause) ? "permission_required" : "client_auth_unusable",
    { action: `use ${subject}`, reason, remedy: advice, cause },
  );
}
