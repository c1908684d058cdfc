import {
  assertCredentialsBackend,
  checkFunctionOption,
  checkOptions,
  checkPathOption,
  checkTimeoutOption,
} from "../../../backends/common/check_options.ts";
import { SECRETS } from "../../support/entries.ts";
import { throwsWith } from "../../support/rejects_with.ts";

const permissions = "none";

Deno.test({
  name: "checkOptions takes known options, and names the first unknown one without its value",
  permissions,
  fn() {
    checkOptions("Store", {}, []);
    checkOptions("Store", { a: 1 }, ["a", "b"]);
    const options = { a: 1, token: SECRETS.access, other: SECRETS.extra };
    const words = ["Cannot Store", `"token"`, "It takes: a, b."];
    throwsWith("invalid_options", () => checkOptions("Store", options, ["a", "b"]), ...words);
    throwsWith("invalid_options", () => checkOptions("Store", { a: 1 }, []), "It takes none.");
    for (const wrong of [null, undefined, [], "text", 7, () => {}]) {
      throwsWith("invalid_options", () => checkOptions("Store", wrong, ["a"]), "not an object");
    }
  },
});

Deno.test({
  name: "checkPathOption refuses what is no path, or a shell's or a browser's way to write one",
  permissions,
  fn() {
    for (const path of ["a", "./a", "/a", "C:\\a", "~a", "a/~/b", "files/a", ":memory:"]) {
      checkPathOption("Store", path);
    }
    for (const path of ["", "  ", null, undefined, 7, {}, ["a"]]) {
      throwsWith("invalid_options", () => checkPathOption("Store", path), `"path"`);
    }
    for (const path of ["~/a", "~\\a", "file:///a", "file:a"]) {
      throwsWith("invalid_options", () => checkPathOption("Store", path), "Give a plain path");
    }
  },
});

Deno.test({
  name: "checkTimeoutOption takes 0 and more",
  permissions,
  fn() {
    for (const ms of [0, 1.5, 30_000, Infinity]) checkTimeoutOption("Store", "waitMs", ms);
    for (const ms of [-1, NaN, "5", null, undefined, 5n]) {
      throwsWith("invalid_options", () => checkTimeoutOption("Store", "waitMs", ms), `"waitMs"`);
    }
  },
});

Deno.test({
  name: "checkFunctionOption takes functions",
  permissions,
  fn() {
    checkFunctionOption("Store", "onWarning", () => {});
    for (const wrong of ["log", null, undefined, {}]) {
      const check = () => checkFunctionOption("Store", "onWarning", wrong);
      throwsWith("invalid_options", check, `"onWarning" is not a function`);
    }
  },
});

const whole = { get: () => undefined, put: () => {}, delete: () => {} };

Deno.test({
  name: "assertCredentialsBackend takes an object with the three methods, own or inherited",
  permissions,
  fn() {
    assertCredentialsBackend(whole, "it");
    assertCredentialsBackend(Object.create(whole), "it");
    assertCredentialsBackend(Object.assign(() => {}, whole), "it");
  },
});

for (const method of ["get", "put", "delete"] as const) {
  Deno.test({
    name: `assertCredentialsBackend names the method that is missing: ${method}`,
    permissions,
    fn() {
      for (const wrong of [undefined, null, "text", {}, Promise.resolve()]) {
        const value = { ...whole, [method]: wrong, token: SECRETS.access };
        const check = () => assertCredentialsBackend(value, "mine");
        throwsWith("invalid_backend", check, "Cannot use mine as", `no method ${method}()`);
      }
    },
  });
}

Deno.test({
  name: "assertCredentialsBackend refuses what is no object",
  permissions,
  fn() {
    for (const wrong of [undefined, null, "memory", 7, true, Symbol("x"), Promise.resolve(whole)]) {
      throwsWith("invalid_backend", () => assertCredentialsBackend(wrong, "it"), "get()");
    }
  },
});
