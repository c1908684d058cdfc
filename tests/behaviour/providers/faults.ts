import { assert, assertEquals } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { EVERYWHERE } from "./told/everywhere.ts";
import type { MatrixWorld } from "./world.ts";

/** A fault that a person may meet, in the words of the table of faults. */
export type Fault =
  | "The person denies the request"
  | "The person denies the request in the browser"
  | "Nobody approves the code"
  | "The issuer's path is wrong"
  | "The issuer is given with https: and speaks http:"
  | "The provider does not know the client"
  | "A confidential client has no secret"
  | "A confidential client has a wrong secret"
  | "A wrong secret, and nobody there"
  | "The client is disabled"
  | "The client may not use the device flow"
  | "The client may not use the flow in the browser"
  | "The ID token is signed by a secret"
  | "The person may not have offline_access"
  | "The client has to push its requests"
  | "The realm requires HTTPS"
  | "An administrator has ended all tokens of the client"
  | "The client has to use DPoP"
  | "The clock is off, with DPoP"
  | "A copied refresh token was used"
  | "The answer to a refresh is lost"
  | "The refresh after one whose answer was lost"
  | "An administrator has ended the session"
  | "The person's account is disabled"
  | "The provider refuses connections"
  | "The provider does not answer"
  | "A load balancer answers in the provider's place";

/** The error that a person gets. */
export interface Told {
  readonly code: string;
  /**
   * The message. `{issuer}`, `{endpoint}`, `{origin}`, `{host}` stand for the addresses of the
   * test's provider, `{client}` for the client id.
   */
  readonly message: string;
  /** The message of its `cause`, where that is an error of this module. */
  readonly cause?: string;
}

/** The address of discovery, or of the token endpoint. */
const ENDPOINT = /\{(issuer|origin)\}\S*(openid-configuration|token)\b/g;

/** Asserts that a fault is told word for word as the provider's kind states it. */
export async function isTold(
  world: MatrixWorld,
  fault: Fault,
  run: () => unknown,
): Promise<void> {
  const error = await errorOf(run);
  assertNoSecret(error);
  const cause = error.cause instanceof ValidMindAuthError ? error.cause.message : undefined;
  isToldWords(world, fault, { code: error.code, message: error.message, cause });
}

/** The same for the words of an error of another process. */
export function isToldWords(
  { kind, provider: { issuer, gateway }, client: { clientId } }: MatrixWorld,
  fault: Fault,
  { code, message, cause }: Omit<Told, "cause"> & { cause?: string | undefined },
): void {
  const words = (text: string) =>
    text.replaceAll(issuer, "{issuer}").replaceAll(gateway.origin, "{origin}")
      .replaceAll(gateway.host, "{host}").replaceAll(
        `--client-id ${clientId}`,
        "--client-id {client}",
      )
      .replaceAll(ENDPOINT, "{endpoint}");
  const told = { code, message: words(message), ...(cause && { cause: words(cause) }) };
  assertEquals(told, kind.told[fault] ?? EVERYWHERE[fault], fault);
}

async function errorOf(run: () => unknown): Promise<ValidMindAuthError> {
  const error = await Promise.try(run).then(() => undefined, (error) => error);
  assert(error instanceof ValidMindAuthError, `no error of this module: ${error}`);
  return error;
}
