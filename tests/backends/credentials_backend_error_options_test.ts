import { assertThrows } from "@std/assert";
import {
  assertCredentialsBackend,
  checkOptions,
  CredentialsBackendError,
  type OptionTypes,
} from "../../backends/credentials_backend_error.ts";
import { SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const permissions = "none";

const check = (value: unknown, type: OptionTypes[string]) => () =>
  checkOptions("Store", { a: value }, { a: type });

Deno.test("checkOptions takes known options, and names the first unknown one without its value", {
  permissions,
}, async () => {
  const types = { a: "any", b: "text" } as const;
  checkOptions("Store", {}, {});
  checkOptions("Store", { a: 1, b: undefined }, types);
  const options = { a: 1, token: SECRETS.access, other: SECRETS.extra };
  const words = ["Cannot Store", `unknown option "token"`, "It takes: a, b."];
  await rejectsWith("invalid_options", () => checkOptions("Store", options, types), ...words);
  await rejectsWith(
    "invalid_options",
    () => checkOptions("Store", { a: 1 }, {}),
    "It takes none.",
  );
  await rejectsWith(
    "invalid_options",
    () => checkOptions("Store", { toString: 1 }, types),
    "unknown",
  );
  for (const wrong of [null, undefined, [], "text", 7, () => {}]) {
    await rejectsWith(
      "invalid_options",
      () => checkOptions("Store", wrong, types),
      "not an object",
    );
  }
});

const ROWS: [type: OptionTypes[string], right: unknown[], wrong: unknown[]][] = [
  ["text", ["a", " a "], ["", " ", 7, null, ["a"]]],
  [
    "path",
    ["a", "./a", "/a", "C:\\a", "~a", "a/~/b", "files/a", ":memory:"],
    ["", "  ", null, 7, {}, ["a"], "~/a", "~\\a", "file:///a", "file:a"],
  ],
  ["boolean", [true, false], ["true", 0, null]],
  ["number", [0, -1, NaN], ["1", 1n, null]],
  ["function", [() => {}, Map], ["log", null, {}]],
  ["object", [{}, new Map(), []], ["{}", null, () => {}]],
  ["array", [[], [1]], [{ length: 0 }, "a", null]],
  ["signal", [AbortSignal.abort()], [{ aborted: true }, true, null]],
  ["milliseconds", [0, 1.5, 30_000, Infinity], [-1, NaN, "5", null, 5n]],
  ["timeout", [1, 30_000, Infinity], [0, -1, NaN, "5", null]],
  [["one", "two"], ["one", "two"], ["three", 1, null, ["one"]]],
];

for (const [type, right, wrong] of ROWS) {
  Deno.test(
    `checkOptions takes a value of the kind ${type}, and refuses others`,
    { permissions },
    async () => {
      for (const value of right) check(value, type)();
      for (const value of wrong) {
        await rejectsWith(
          "invalid_options",
          check(value, type),
          `Cannot Store: option "a" is ${
            typeof value === "string" && !value.trim() ? "empty" : "not "
          }`,
        );
      }
    },
  );
}

Deno.test(
  "checkOptions shows no value, and throws the caller's own error",
  { permissions },
  async () => {
    await rejectsWith("invalid_options", check(SECRETS.access, ["one", "two"]), "one of one, two");
    const fail = (message: string) => new RangeError(message);
    assertThrows(
      () => checkOptions("Call", { a: 1 }, { a: "text" }, fail),
      RangeError,
      "is not a string",
    );
  },
);

const whole = { get: () => undefined, put: () => {}, delete: () => {} };

Deno.test("checkOptions names the option that differs by its case alone", { permissions }, () => {
  assertThrows(
    () => checkOptions("Call", { clientID: 1 }, { clientId: "text", scope: "text" }),
    CredentialsBackendError,
    'unknown option "clientID". Did you mean "clientId"?',
  );
});

Deno.test("assertCredentialsBackend takes an object with the three methods, own or inherited", {
  permissions,
}, () => {
  assertCredentialsBackend(whole, "it");
  assertCredentialsBackend(Object.create(whole), "it");
  assertCredentialsBackend(Object.assign(() => {}, whole), "it");
});

for (const method of ["get", "put", "delete"] as const) {
  Deno.test(
    `assertCredentialsBackend names the method that is missing: ${method}`,
    { permissions },
    async () => {
      for (const wrong of [undefined, null, "text", {}, Promise.resolve()]) {
        const value = { ...whole, [method]: wrong, token: SECRETS.access };
        const check = () => assertCredentialsBackend(value, "mine");
        await rejectsWith("invalid_backend", check, "Cannot use mine as", `no method ${method}()`);
      }
    },
  );
}

Deno.test("assertCredentialsBackend refuses what is no object", { permissions }, async () => {
  for (const wrong of [undefined, null, "memory", 7, true, Symbol("x"), Promise.resolve(whole)]) {
    await rejectsWith("invalid_backend", () => assertCredentialsBackend(wrong, "it"), "get()");
  }
});
