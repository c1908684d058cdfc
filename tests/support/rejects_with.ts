import { assert, assertEquals, assertInstanceOf, AssertionError, assertMatch } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../backends/credentials_backend_error.ts";
import { assertNoSecret } from "./assert_no_secret.ts";
import { ALL_SECRETS } from "./entries.ts";

/**
 * Runs `fn`, which has to fail with this code in a message that reads "Cannot X: reason. Advice."
 * and holds each of `parts`. No error that a backend makes may show a secret, so each is searched.
 */
export async function rejectsWith(
  code: CredentialsBackendErrorCode,
  fn: () => unknown,
  ...parts: string[]
): Promise<CredentialsBackendError> {
  let error: unknown;
  try {
    await fn();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new AssertionError(`expected an error with code ${code}`);
  return checkError(error, code, parts);
}

/** The same for what throws at once. */
export function throwsWith(
  code: CredentialsBackendErrorCode,
  fn: () => unknown,
  ...parts: string[]
): CredentialsBackendError {
  let error: unknown;
  try {
    fn();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new AssertionError(`expected an error with code ${code}`);
  return checkError(error, code, parts);
}

function checkError(
  error: unknown,
  code: CredentialsBackendErrorCode,
  parts: string[],
): CredentialsBackendError {
  assertNoSecret(error, ALL_SECRETS);
  assertInstanceOf(error, CredentialsBackendError);
  assertEquals(error.code, code, error.message);
  assertMatch(error.message, /^Cannot .+: .+\. .+/s);
  for (const part of parts) assert(error.message.includes(part), `no "${part}": ${error.message}`);
  return error;
}
