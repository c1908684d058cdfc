import { assertCredentialsBackend } from "../../backends/assert_credentials_backend.ts";
import { SECRETS } from "./entries.ts";
import { throwsWith } from "./rejects_with.ts";

const permissions = "none";
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
