import { assertEquals, assertStringIncludes } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { reportError } from "../../../client/cli/report_error.ts";
import { usageError } from "../../../client/cli/output.ts";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { OwnStreams } from "../../support/own_streams.ts";

function report(error: unknown): { code: number; text: string } {
  using streams = new OwnStreams();
  const code = reportError(error, { isJson: false, command: "status" });
  const { stdout, stderr } = streams.written;
  assertEquals(stdout, "");
  return { code, text: stderr };
}

const CODES: [error: Error & { code: string }, code: number][] = [
  [usageError("Cannot a: b. Do c."), 2],
  [new ValidMindAuthError("missing_api_credentials", "Cannot a: b. Do c."), 2],
  [new CredentialsBackendError("backend_spec_invalid", "Cannot a: b. Do c."), 2],
  [new CredentialsBackendError("home_unset", "Cannot a: b. Do c."), 2],
  [new ValidMindAuthError("login_required", "Cannot a: b. Do c."), 4],
  [new ValidMindAuthError("provider_unavailable", "Cannot a: b. Do c."), 1],
  [new CredentialsBackendError("backend_locked", "Cannot a: b. Do c."), 1],
];

Deno.test("reportError: the exit code by the error", () => {
  for (const [error, code] of CODES) {
    const { code: given, text } = report(error);
    assertEquals(given, code);
    assertStringIncludes(text, `error (${error.code}): Cannot a: b. Do c.\n`);
  }
});

Deno.test("reportError: causes are told, without escape sequences", () => {
  const cause = new CredentialsBackendError("backend_full", "Cannot write: no\x1b[31m space.");
  const error = new ValidMindAuthError("credentials_not_stored", "Cannot store.", { cause });
  assertStringIncludes(
    report(error).text,
    "Cannot store.\ncaused by CredentialsBackendError [backend_full]: Cannot write: no [31m space.\n",
  );
});

Deno.test("reportError: what a stranger threw is told by its name only", () => {
  for (const error of [new RangeError("secret-token-1234"), "secret-token-1234"]) {
    const { code, text } = report(error);
    assertEquals(code, 1);
    assertStringIncludes(text, "error (unexpected): Cannot finish");
    assertEquals(text.includes("secret"), false);
  }
});

Deno.test("reportError: a missing permission leads to the command that names all", () => {
  const { text } = report(new ValidMindAuthError("permission_required", "Cannot a: b."));
  assertStringIncludes(
    text,
    "deno run --no-config --allow-env jsr:@validmind/auth/cli permissions --for cli",
  );
});
