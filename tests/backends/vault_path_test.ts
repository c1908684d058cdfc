import { assertEquals } from "@std/assert";
import {
  checkVaultPath,
  encodePath,
  isLockName,
  isSecretName,
  lockName,
  secretName,
} from "../../backends/vault_path.ts";
import { AWKWARD_KEYS, KEY } from "./entries.ts";
import { throwsWith } from "./rejects_with.ts";

const permissions = "none";

Deno.test({
  name: "secretName is the SHA-256 of the key, and the same for no two keys",
  permissions,
  async fn() {
    const known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2
    assertEquals(await secretName("abc"), known);
    const keys = [...AWKWARD_KEYS, KEY, `${KEY}|`, KEY.toUpperCase()];
    const names = await Promise.all(keys.map(secretName));
    assertEquals(new Set(names).size, keys.length);
    assertEquals(names.filter(isSecretName), names);
  },
});

Deno.test({
  name: "names of entries, of locks and of others are told apart",
  permissions,
  async fn() {
    const name = await secretName(KEY);
    const names = [name, lockName(name), `${name}/`, name.toUpperCase(), "notes", "notes.lock", ""];
    assertEquals(names.filter(isSecretName), [name]);
    assertEquals(names.filter(isLockName), [lockName(name)]);
  },
});

Deno.test({
  name: "encodePath keeps the slashes and nothing else that a URL would understand",
  permissions,
  fn() {
    assertEquals(encodePath("users/anna"), "users/anna");
    assertEquals(encodePath("a b/c?d#e%f/ü"), "a%20b/c%3Fd%23e%25f/%C3%BC");
  },
});

Deno.test({
  name: "checkVaultPath refuses what would lead elsewhere, or to everybody's folder",
  permissions,
  fn() {
    for (const path of ["a", "users/anna", "users/anna@example.com", "a b", "größe", "a.b/..c"]) {
      checkVaultPath("test", "path", path);
    }
    const wrong = [
      undefined,
      null,
      5,
      "",
      "/users",
      "users/",
      "users//x",
      "users/ ",
      "..",
      "users/../admin",
      "./users",
      "users/an\nna",
      "users/\u0000",
    ];
    for (const path of wrong) {
      throwsWith("invalid_options", () => checkVaultPath("test", "path", path), '"path"');
    }
  },
});
