import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ValidMindAuthError } from "../../../../client/errors.ts";
import { assertNoSecret } from "../../../support/assert_no_secret.ts";
import type { MatrixWorld } from "./world.ts";

/** A fault that a person may meet, by its name in the tests. */
export type Fault = keyof typeof TOLD;

/** The code of the error that a person gets, and words of its message from which to act. */
export type Told = readonly [code: string, ...words: string[]];

const SECRET = "clientSecret (VM_OIDC_CLIENT_SECRET)";

/** What people are told at every kind of provider that does not state its own. */
const TOLD = {
  "The person denies the request": ["device_code_denied", "access_denied", "Sign in again"],
  "The provider does not know the client": ["provider_refused", "Check clientId", SECRET],
  "A confidential client has no secret": ["provider_refused", SECRET],
  "A confidential client has a wrong secret": ["provider_refused", `${SECRET} is its secret`],
  "A wrong secret, and nobody there": ["provider_refused", `${SECRET} is its secret`],
  "The client is disabled": ["provider_refused", "The client has to be enabled"],
  "The client may not use the device flow": ["provider_refused", "the device code grant"],
  "The client may not use the flow in the browser": ["provider_refused", 'flow: "device"'],
  "The ID token is signed by a secret": ["id_token_invalid", "HS256", "RS256"],
  "The person may not have offline_access": ["provider_refused", "Leave offline_access out"],
  "The client has to push its requests": ["provider_refused", "RFC 9126"],
  "The realm requires HTTPS": ["provider_unavailable", "HTTPS required"],
  "An administrator has ended all tokens of the client": ["login_required", "invalid_grant"],
  "The client has to use DPoP": ["provider_refused", "dpop: true"],
  "A copied refresh token was used": ["login_required", "invalid_grant", "Sign in with"],
  "The answer to a refresh is lost": ["provider_unavailable", "broke off"],
  "The refresh after one whose answer was lost": ["login_required", "invalid_grant"],
  "An administrator has ended the session": ["login_required", "invalid_grant"],
  "The person's account is disabled": ["login_required", "invalid_grant"],
} satisfies Record<string, Told>;

/** Asserts that a fault is told as the provider's kind states it. */
export async function isTold(
  { kind }: MatrixWorld,
  fault: Fault,
  run: () => unknown,
): Promise<void> {
  const error = await Promise.try(run).then(() => undefined, (error) => error);
  assert(error instanceof ValidMindAuthError, `no error of this module: ${error}`);
  assertNoSecret(error);
  const [code, ...words] = kind.told?.[fault] ?? TOLD[fault];
  assertEquals(error.code, code, `${fault}: ${error.message}`);
  for (const part of words) assertStringIncludes(error.message, part!, fault);
}
