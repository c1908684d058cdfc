import { assertEquals, assertStringIncludes } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { reportError } from "../../../client/cli/report_error.ts";
import { usageError } from "../../../client/cli/cli_error.ts";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { MemoryOutput } from "./cli_world.ts";

function report(error: unknown): { code: number; text: string } {
  const output = new MemoryOutput();
  const code = reportError(error, output, { isJson: false, command: "status" });
  assertEquals(output.printed, "");
  return { code, text: output.noted };
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

const CONNECTIONS: [text: string, words: string][] = [
  ["client error (Connect): dns error: failed to lookup", "The host name is not known."],
  [
    "tcp connect error: Connection refused (os error 111)",
    "Nothing answers at that host and port.",
  ],
  ["invalid peer certificate: UnknownIssuer", "Its certificate is not trusted."],
  ["operation timed out", "The host did not answer in time."],
];

Deno.test("reportError: a connection that fails is put into words", () => {
  for (const [text, words] of CONNECTIONS) {
    const cause = new TypeError("fetch failed", { cause: new Error(text) });
    const error = new ValidMindAuthError("provider_unavailable", "Cannot reach it.", { cause });
    const said = `Cannot reach it.\n${words}\ncaused by Error: ${text}\n`;
    assertStringIncludes(report(error).text, said);
  }
});

Deno.test("reportError: a reason that the message names is not said again", () => {
  const cause = new TypeError("fetch failed", { cause: new Error("dns error: nobody") });
  const message = "Cannot reach it: the host name is not known. Check it.";
  const error = new ValidMindAuthError("provider_unavailable", message, { cause });
  assertStringIncludes(report(error).text, `${message}\ncaused by Error: dns error: nobody\n`);
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
