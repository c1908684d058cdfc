import { assert, assertEquals } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import type { MatrixWorld } from "./world.ts";

/** A fault that a person may meet, in the words of the table of faults. */
export type Fault = "The person denies the request";

/** The error that a person gets. */
export interface Told {
  readonly code: string;
  /**
   * The message. `{issuer}` stands for the issuer, `{origin}` for its origin, `{client}` for the
   * client id.
   */
  readonly message: string;
  /** The message of its `cause`. */
  readonly cause?: string;
}

/** Asserts that a fault is told word for word as the provider's kind states it. */
export async function isTold(
  world: MatrixWorld,
  fault: Fault,
  run: () => unknown,
): Promise<void> {
  const error = await errorOf(run);
  assertNoSecret(error);
  const { provider: { issuer, gateway }, client: { clientId } } = world;
  const words = (text: string) =>
    text.replaceAll(issuer, "{issuer}").replaceAll(gateway.origin, "{origin}")
      .replaceAll(clientId, "{client}");
  const { code, message, cause } = error;
  assertEquals({
    code,
    message: words(message),
    ...(cause instanceof Error && { cause: words(cause.message) }),
  }, world.kind.told[fault]);
}

async function errorOf(run: () => unknown): Promise<ValidMindAuthError> {
  const error = await Promise.try(run).then(() => undefined, (error) => error);
  assert(error instanceof ValidMindAuthError, `no error of this module: ${error}`);
  return error;
}
