import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { type Fault, TOLD } from "./told.ts";
import type { MatrixWorld } from "./world.ts";

/** Asserts that a fault is told as the provider's kind states it. */
export async function isTold(
  world: MatrixWorld,
  fault: Fault,
  run: () => unknown,
): Promise<void> {
  const error = await Promise.try(run).then(() => undefined, (error) => error);
  assert(error instanceof ValidMindAuthError, `no error of this module: ${error}`);
  assertNoSecret(error);
  isToldWords(world, fault, error);
}

/** The same for the words of an error of another process. */
export function isToldWords(
  { kind }: MatrixWorld,
  fault: Fault,
  { code, message }: { code: string; message: string },
): void {
  const expected = kind.told?.[fault] ?? TOLD[fault];
  assertEquals(code, expected.code, `${fault}: ${message}`);
  for (const words of expected.words) assertStringIncludes(message, words, fault);
}
