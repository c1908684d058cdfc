import type * as fc from "fast-check";
import { assert } from "@std/assert";
import { redact } from "../../../backends/common/redaction.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { CliError } from "../../../client/cli/command.ts";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";

/** One parser of text from outside, with what it is fed. */
export interface FuzzTarget {
  readonly name: string;
  // deno-lint-ignore no-explicit-any -- `target` ties it to the input of `run`
  readonly input: fc.Arbitrary<any>;
  // deno-lint-ignore no-explicit-any -- as above
  run(input: any): unknown;
}

/** A target whose `run` fails where a rule does not hold. */
export function target<T>(name: string, input: fc.Arbitrary<T>, run: (input: T) => unknown) {
  return { name, input, run };
}

/**
 * The value of a call, or `undefined` where it throws a proper error: coded, short, without control
 * characters and without a secret.
 */
export async function attempt<T>(call: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    const isCoded = error instanceof ValidMindAuthError ||
      error instanceof CredentialsBackendError || error instanceof CliError;
    // Without the error as the cause: a report may be public.
    assert(isCoded, `an error without a code: ${error instanceof Error ? error.name : "no error"}`);
    assert(error.message.length <= 5000, "a message of more than 5000 characters");
    assertPlain(error.message);
    assertNoSecret(error);
    return undefined;
  }
}

/** Fails for a text that a terminal would act on. */
export function assertPlain(text: string): void {
  assert(!/[\p{C}\p{Zl}\p{Zp}]/u.test(text.replaceAll("\n", " ")), "control characters in a text");
}

/** Fails where a text in a value, at any depth, is not plain. */
export function assertPlainTexts(value: unknown): void {
  if (typeof value === "string") return assertPlain(value);
  if (typeof value === "object" && value !== null) Object.values(value).forEach(assertPlainTexts);
}

/** Whether a text has a piece of one of the secrets. */
export function sharesPiece(text: string, secrets: Iterable<string>): boolean {
  return redact(text, secrets) !== text;
}
