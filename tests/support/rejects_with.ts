import { assert, assertEquals, AssertionError, assertMatch, assertNotMatch } from "@std/assert";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../../backends/credentials_backend_error.ts";
import {
  type ApiError,
  ValidMindAuthError,
  type ValidMindAuthErrorCode,
} from "../../client/errors.ts";
import { assertNoSecret } from "./assert_no_secret.ts";
import { GAP } from "./own_streams.ts";

/** The code of an error that this module makes. */
export type AnyErrorCode = CredentialsBackendErrorCode | ValidMindAuthErrorCode;

/** The class of the errors with a code. Some codes are those of both classes. */
export type ErrorWithCode<C extends AnyErrorCode> =
  | (C extends "api_error" | "unauthorized" | "reauthentication_required" ? ApiError : never)
  | (C extends Exclude<ValidMindAuthErrorCode, "api_error" | "unauthorized"> ? ValidMindAuthError
    : never)
  | (C extends CredentialsBackendErrorCode ? CredentialsBackendError : never);

/**
 * Asserts that `run` throws or rejects with this code, and with a message that reads
 * "Cannot X: reason. Advice." and has each of `parts`.
 *
 * No error of this module may show a secret, so each is searched by {@linkcode assertNoSecret}.
 */
export async function rejectsWith<C extends AnyErrorCode>(
  code: C,
  run: () => unknown,
  ...parts: string[]
): Promise<ErrorWithCode<C>> {
  const error = await errorOf(run, code);
  assertNoSecret(error);
  assert(
    error instanceof CredentialsBackendError || error instanceof ValidMindAuthError,
    `no error of this module: ${error}`,
  );
  assertEquals(error.code, code, error.message);
  assertMatch(error.message, /^Cannot [A-Za-z]+\b.*: .+\. .+/s);
  assertNotMatch(error.message, GAP);
  for (const part of parts) assert(error.message.includes(part), `no "${part}": ${error.message}`);
  return error as ErrorWithCode<C>;
}

async function errorOf(run: () => unknown, code: AnyErrorCode): Promise<unknown> {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new AssertionError(`expected an error with code ${code}`);
}
