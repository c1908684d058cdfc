import { CredentialsBackendError } from "./credentials_backend_error.ts";

/**
 * What a variable that is yes or no says; `undefined` when it is unset or empty. Any other word is
 * an error: what it was meant to say must not be guessed.
 *
 * @throws {CredentialsBackendError} `env_invalid`.
 */
export function parseFlag(name: string, value: string | undefined): boolean | undefined {
  const text = value?.trim().toLowerCase() ?? "";
  if (["1", "true", "yes"].includes(text)) return true;
  if (["0", "false", "no"].includes(text)) return false;
  if (text === "") return undefined;
  throw new CredentialsBackendError(
    "env_invalid",
    `Cannot read the variable ${name}: it is neither 1, true or yes nor 0, false or no. Set it to ` +
      `one of these, or unset it.`,
  );
}
