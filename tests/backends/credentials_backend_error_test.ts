import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";

Deno.test("a CredentialsBackendError is an Error with a name, a code and a cause", () => {
  const cause = new Error("the reason");
  const error = new CredentialsBackendError("backend_full", "Cannot write: full.", { cause });
  assert(error instanceof Error);
  assertEquals(error.name, "CredentialsBackendError");
  assertEquals(error.code, "backend_full");
  assertEquals(String(error), "CredentialsBackendError: Cannot write: full.");
  assertStrictEquals(error.cause, cause);
  assertEquals("cause" in new CredentialsBackendError("backend_full", "Cannot write."), false);
});
