import { assertEquals, assertFalse } from "@std/assert";
import {
  call,
  CredentialsBackendError,
  messageFor,
  option,
  type Vocabulary,
  words,
  wordsOf,
} from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../../client/errors.ts";

const inFlags: Vocabulary = ({ kind, name, value }) =>
  kind === "call" ? name === "login" ? "run: auth login" : undefined : `--${name} ${value ?? ""}`;

Deno.test("a message with terms: an error has it in words of code, and gives it in others", () => {
  const message = words`Cannot sign in: ${2} flows are refused. Set ${
    option("flow", { value: "browser", variable: "VM_OIDC_FLOW" })
  }, or ${call("login", {}, "call init()")}, or ${call("clear", { all: true })}.`;
  for (
    const error of [
      new ValidMindAuthError("flow_unsupported", message),
      new CredentialsBackendError("backend_denied", message),
    ]
  ) {
    assertEquals(
      error.message,
      "Cannot sign in: 2 flows are refused. " +
        'Set flow: "browser" (VM_OIDC_FLOW), or call init(), or clear({ all: true }).',
    );
    assertEquals(
      messageFor(error, inFlags),
      "Cannot sign in: 2 flows are refused. " +
        "Set --flow browser, or run: auth login, or clear({ all: true }).",
    );
    assertFalse(Deno.inspect(error).includes("kind"));
    const outer = new ValidMindAuthError("login_required", words`${wordsOf(error)} Again.`);
    assertEquals(messageFor(outer, inFlags), `${messageFor(error, inFlags)} Again.`);
  }
});

Deno.test("a message of text alone: the same in all words", () => {
  const error = new ValidMindAuthError("login_required", "Cannot sign in: nobody is there.");
  assertEquals(messageFor(error, inFlags), error.message);
});
