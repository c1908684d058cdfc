import { assertEquals } from "@std/assert";
import { isLockName, isSecretName, lockName, secretName } from "../../../backends/vault/engine.ts";
import { AWKWARD_KEYS, KEY } from "../../support/entries.ts";

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
