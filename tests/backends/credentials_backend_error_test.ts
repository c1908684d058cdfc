/** The errors of backends, their words, and the checks of options and methods that throw them. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { copy } from "@std/fs/copy";
import { fromFileUrl, toFileUrl } from "@std/path";
import {
  assertCredentialsBackend,
  describeBackend,
  locationOf,
} from "../../backends/common/describe_backend.ts";
import { checkOptions, type OptionTypes } from "../../backends/common/check_options.ts";
import {
  CredentialsBackendError,
  type ErrorParts,
} from "../../backends/credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import {
  ApiError,
  MissingModelIdError,
  ownError,
  ValidMindAuthError,
} from "../../client/errors.ts";
import { entry, KEY, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { tempDir } from "../support/temp_home.ts";
import { testWith } from "../support/test_with.ts";
import { encrypted } from "./encrypted/encrypted_world.ts";
import { trio } from "./fallback/fallback_world.ts";
import { named } from "../../client/options/declaration.ts";
import { errorParts, storeError } from "../support/error_parts.ts";

const test = testWith({ permissions: "none" });

test("an error has a name, a code and a cause, if there is one", () => {
  const cause = new Error("the reason");
  const error = storeError("backend_full", "Cannot write: full.", cause);
  assert(error instanceof Error && error.cause === cause);
  assertEquals(error.code, "backend_full");
  assertEquals(
    String(error),
    "CredentialsBackendError [backend_full]: Cannot write: full. Try again.",
  );
  assertEquals("cause" in storeError("backend_full", "Cannot write."), false);
  error.name = "Full"; // as of any error
  assertEquals([error.name, Object.keys(error).includes("name")], ["Full", false]);
});

test("the stack of an error begins in the code of its caller", () => {
  const run = () => assertCredentialsBackend({}, "the option");
  const [, frame] = assertThrows(run, CredentialsBackendError).stack!.split("\n");
  assert(frame!.includes(import.meta.url), frame);
});

Deno.test("the frames of this module are known in a path with a space and beyond ASCII", async () => {
  await using folder = await tempDir("validmind auth ü 100%-");
  await copy(fromFileUrl(new URL("../../backends", import.meta.url)), `${folder.path}/backends`);
  const root = toFileUrl(`${folder.path}/`).href;
  const { framesOf } = await import(`${root}backends/common/error_class.ts`);
  for (const form of [root, decodeURIComponent(root)]) {
    const mine = `mine (${form}mine.ts:1:1)`;
    const stack = ["Error: x", `get (${form}backends/file.ts:1:1)`, mine].join("\n    at ");
    assertEquals(framesOf(stack), [mine]);
  }
});

Deno.test("an error is data: its message is made of its parts, and each is a field", () => {
  const parts = { action: "sign in", reason: "2. flows: are refused", remedy: "Set one. Or none." };
  for (
    const error of [
      new ValidMindAuthError("flow_unsupported", parts),
      new CredentialsBackendError("backend_denied", parts),
      new ApiError(parts, 500, ""),
    ]
  ) {
    assertEquals(error.message, "Cannot sign in: 2. flows: are refused. Set one. Or none.");
    const { action, reason, remedy } = error;
    assertEquals({ action, reason, remedy }, parts);
  }
  const odd = { ...parts, remedy: "\x1b]52;c;aGk=\x07\u202eRun:\n  it" };
  const { message } = new ValidMindAuthError("flow_unsupported", odd);
  assertEquals(message.split(". ").at(-1), " ]52;c;aGk=  Run:\n  it");
  const bare = new ValidMindAuthError("flow_unsupported", parts);
  assertEquals(["kind", "oauthError", "signIn", "cause"].filter((name) => name in bare), []);
  const refused = { ...parts, kind: "flow", oauthError: "unauthorized_client" } as const;
  const { kind, oauthError } = new ValidMindAuthError("provider_refused", refused);
  assertEquals([kind, oauthError], ["flow", "unauthorized_client"]);
});

test("code that Deno does not load is told by the reason, with the way to it", () => {
  const remedyFor = (words: string) => {
    const error = ownError(Object.assign(new TypeError(words), { code: "ERR_MODULE_NOT_FOUND" }));
    assert(error instanceof ValidMindAuthError);
    return `${error.code}: ${error.remedy}`.slice(0, 32);
  };
  const missing = "Could not find a matching package for 'npm:a@1' in the node_modules directory.";
  assertEquals(remedyFor(missing), "package_missing: Run in the fold");
  const denied = "Failed caching npm package 'a@1'\n" +
    "    0: failed to create directory '/a': Permission denied (os error 13)";
  assertEquals(remedyFor(denied), "package_missing: Set DENO_DIR to");
  const network = "client error (Connect): tcp connect error: Permission denied (os error 13)";
  assertEquals(remedyFor(network), "package_missing: Check the netwo");
});

Deno.test("an option is named by its variable and its flag as well", () => {
  assertEquals(named("issuer"), "issuer (VM_OIDC_ISSUER, --issuer)");
  assertEquals(named("flow", "browser"), 'flow: "browser" (VM_OIDC_FLOW, --flow)');
  assertEquals(named("loginHint"), "loginHint (--login-hint)");
  assertEquals(named("clientSecret"), "clientSecret (VM_OIDC_CLIENT_SECRET)");
  assertEquals(named("signal"), "signal");
});

/** The classes of another copy of this module, as a backend that imports another version brings it. */
async function otherCopy() {
  const sources = ["backends/credentials_backend_error.ts", "client/errors.ts"];
  const [errors, client] = await Promise.all(
    sources.map((source) => import(`../../${source}?another`)),
  );
  return { ...errors, ...client } as {
    CredentialsBackendError: typeof CredentialsBackendError;
    ValidMindAuthError: typeof ValidMindAuthError;
    ApiError: typeof ApiError;
  };
}

Deno.test("an error of another copy of this module is an error of its class", async () => {
  const other = await otherCopy();
  assert(other.CredentialsBackendError !== CredentialsBackendError);
  const full = new other.CredentialsBackendError("backend_full", errorParts("Cannot write: full."));
  assertInstanceOf(full, CredentialsBackendError);
  const answer = new other.ApiError(errorParts("Cannot get /x: 500."), 500, "");
  for (const known of [ApiError, ValidMindAuthError]) assertInstanceOf(answer, known);
  for (const unrelated of [MissingModelIdError, CredentialsBackendError]) {
    assert(!(answer instanceof unrelated));
  }
  assert(!(new other.ValidMindAuthError("api_error", errorParts("Cannot.")) instanceof ApiError));
  class Own extends ApiError {} // a class of the caller's own has only its own errors
  assertInstanceOf(new Own(errorParts("Cannot get /x: 500."), 500, ""), Own);
  assert(!(new ApiError(errorParts("Cannot get /x: 500."), 500, "") instanceof Own));
  const lookalike: unknown = { [Symbol.for("@validmind/auth ApiError")]: true };
  assert(!(lookalike instanceof ApiError));
  const { a, b, backend } = trio();
  a.get = () => {
    throw new other.CredentialsBackendError(
      "backend_unavailable",
      errorParts("Cannot read: away. Wait."),
    );
  };
  await backend.put("key", entry()); // a fallback goes on
  assertEquals(b.rows.get("key")?.access_token, entry().access_token);
});

const check = (value: unknown, type: OptionTypes[string]) => () =>
  checkOptions("Store", { a: value }, { a: type });
const refuses = (options: unknown, ...parts: string[]) =>
  rejectsWith(
    "invalid_options",
    () => checkOptions("Store", options as object, { a: "any", clientId: "text" }),
    ...parts,
  );

test("checkOptions takes known options, and names the first unknown one without its value", async () => {
  checkOptions("Store", {}, {});
  checkOptions("Store", { a: 1, b: undefined }, { a: "any", b: "text" });
  const two = { a: 1, token: SECRETS.access, other: SECRETS.extra };
  await refuses(two, "Cannot Store", `unknown option "token"`, "It takes: a, clientId.");
  await refuses({ toString: 1 }, "unknown");
  await refuses({ clientID: 1 }, 'unknown option "clientID". Did you mean "clientId"?');
  const none = () => checkOptions("Store", { a: 1 }, {});
  await rejectsWith("invalid_options", none, "It takes none.");
  for (const wrong of [null, undefined, [], "text", 7, () => {}]) {
    await refuses(wrong, "not an object");
  }
  await rejectsWith("invalid_options", check(SECRETS.access, ["one", "two"]), "one of one, two");
  const fail = ({ reason }: ErrorParts) => new RangeError(reason);
  const own = () => checkOptions("Call", { a: 1 }, { a: "text" }, fail);
  assertThrows(own, RangeError, "is not a string");
});

const ROWS: [type: OptionTypes[string], right: unknown[], wrong: unknown[]][] = [
  ["text", ["a", " a "], ["", " ", 7, null, ["a"]]],
  [
    "path",
    ["a", "./a", "/a", "C:\\a", "~a", "a/~/b", "files/a", "/c$/a%", ":memory:"],
    [
      "",
      "  ",
      null,
      7,
      {},
      ["a"],
      "~/a",
      "~\\a",
      "file:///a",
      "file:a",
      "$HOME/a",
      "/a/${B",
      "%A%/b",
    ],
  ],
  ["boolean", [true, false], ["true", 0, null]],
  ["function", [() => {}, Map], ["log", null, {}]],
  ["object", [{}, new Map(), []], ["{}", null, () => {}]],
  ["array", [[], [1]], [{ length: 0 }, "a", null]],
  ["signal", [AbortSignal.abort()], [{ aborted: true }, true, null]],
  ["milliseconds", [0, 1.5, 30_000, Infinity], [-1, NaN, "5", null, 5n]],
  ["timeout", [1, 30_000, Infinity], [0, -1, NaN, "5", null]],
  [["one", "two"], ["one", "two"], ["three", 1, null, ["one"]]],
];

for (const [type, right, wrong] of ROWS) {
  test(`checkOptions takes a value of the kind ${type}, and refuses others`, async () => {
    for (const value of right) check(value, type)();
    for (const value of wrong) {
      const kind = typeof value === "string" && !value.trim() ? "empty" : "not ";
      const words = `Cannot Store: option "a" is ${kind}`;
      await rejectsWith("invalid_options", check(value, type), words);
    }
  });
}

test("assertCredentialsBackend takes an object with the three methods, and names what is missing", async () => {
  const whole = { get: () => undefined, put: () => {}, delete: () => {} };
  for (const right of [whole, Object.create(whole), Object.assign(() => {}, whole)]) {
    assertCredentialsBackend(right, "it");
  }
  for (const method of ["get", "put", "delete"]) {
    for (const wrong of [undefined, null, "text", {}, Promise.resolve()]) {
      const value = { ...whole, [method]: wrong, token: SECRETS.access };
      const check = () => assertCredentialsBackend(value, "mine");
      await rejectsWith("invalid_backend", check, "Cannot use mine as", `no method ${method}()`);
    }
  }
  for (const wrong of [undefined, null, "memory", 7, true, Symbol("x"), Promise.resolve(whole)]) {
    await rejectsWith("invalid_backend", () => assertCredentialsBackend(wrong, "it"), "get()");
  }
});

Deno.test("a store is told by its class and place, and a place that is no text is left out", async () => {
  const memory = new MemoryCredentialsBackend();
  const described = "MemoryCredentialsBackend (the memory of this process)";
  assertEquals(describeBackend(memory), described);
  const bare = Object.assign(Object.create(null), new SpyBackend());
  assertEquals(describeBackend(bare), "the credentials backend");
  const failing = {
    ...bare,
    get location(): string {
      throw new TypeError("x?token=abc");
    },
  };
  assertEquals(describeBackend(failing), "the credentials backend");
  const location = new URL("https://store.example.com") as unknown as string;
  const odd = Object.assign(new SpyBackend(), { location });
  assertEquals([locationOf(odd), describeBackend(odd)], [undefined, "SpyBackend"]);
  const { a, backend, events } = trio();
  Object.assign(a, { location });
  a.faults.all = "backend_timeout";
  await backend.put(KEY, entry());
  assertEquals(events.map((one) => one.split(" ")[0]), ["FlakyBackend"]);
  await odd.put(KEY, entry());
  assertEquals(encrypted(odd).location, undefined);
  await rejectsWith("decryption_failed", () => encrypted(odd).get(KEY), "from SpyBackend: ");
});
