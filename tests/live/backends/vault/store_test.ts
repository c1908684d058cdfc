import { assertEquals } from "@std/assert";
import { hashOf } from "../../../../backends/common/printable.ts";
import type { VaultCredentialsBackend } from "../../../../backends/vault.ts";
import { startVault, type VaultAnswer } from "../../../support/servers/vault_server.ts";
import { entry, KEY, OTHER } from "../../../support/entries.ts";
import { userToken, vaultBackend } from "../../../backends/vault/vault_world.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("vault");

const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());

const NAME = await hashOf(KEY);

/** What an administrator sees of `users/anna`: `part` is `data` or `metadata`, for KV 2. */
function look(part: string, name = NAME): Promise<VaultAnswer> {
  return vault.request("GET", `secret/${part}/users/anna/${name}`);
}

async function withBackend(
  test: (backend: VaultCredentialsBackend) => Promise<void>,
): Promise<void> {
  const backend = vaultBackend(vault, token);
  try {
    await test(backend);
  } finally {
    await backend.deleteAll();
    await backend.close();
  }
}

live.test("Vault: one version is kept of an entry, also of one that somebody else made", () =>
  withBackend(async (backend) => {
    await backend.put(KEY, entry());
    await backend.put(KEY, entry({ x_second: 2 }));
    const { body: own } = await look("metadata");
    assertEquals(own.data.max_versions, 1);
    assertEquals(Object.keys(own.data.versions), ["2"]);
    assertEquals((await look("data", `${NAME}?version=1`)).status, 404);
    const path = `secret/data/users/anna/${await hashOf(OTHER)}`;
    for (let i = 0; i < 3; i++) await vault.request("POST", path, { data: { old: "token" } });
    await backend.put(OTHER, entry());
    const { body: theirs } = await look("metadata", await hashOf(OTHER));
    assertEquals(Object.keys(theirs.data.versions), ["4"]);
  }));

live.test("Vault: delete removes the metadata and every version, so nothing can be undeleted", () =>
  withBackend(async (backend) => {
    await backend.put(KEY, entry());
    await backend.put(KEY, entry());
    await backend.delete(KEY);
    assertEquals((await look("metadata")).status, 404);
    await vault.request("POST", `secret/undelete/users/anna/${NAME}`, { versions: [1, 2] });
    assertEquals((await look("data")).status, 404);
    await backend.delete(KEY);
  }));

live.test("Vault: an entry that was only marked as deleted, or destroyed, is absent and can be written", () =>
  withBackend(async (backend) => {
    for (const end of ["soft", "destroy"]) {
      await backend.put(KEY, entry());
      await backend.put(KEY, entry());
      if (end === "soft") await vault.request("DELETE", `secret/data/users/anna/${NAME}`);
      else {
        const { body } = await look("metadata");
        const versions = [body.data.current_version];
        await vault.request("POST", `secret/destroy/users/anna/${NAME}`, { versions });
      }
      assertEquals((await look("data")).body.data.data, null); // 404 with a body
      assertEquals(await backend.get(KEY), undefined);
      assertEquals(await Array.fromAsync(backend.list()), []);
      await backend.put(KEY, entry({ x_again: end }));
      assertEquals(await backend.get(KEY), entry({ x_again: end }));
    }
  }));

live.test("Vault: writes at the same time with cas_required all succeed, and one of them is stored", () =>
  withBackend(async (backend) => {
    await vault.request("POST", "secret/config", { cas_required: true });
    const other = vaultBackend(vault, token);
    const writes = Array.from(
      { length: 8 },
      (_, i) => [backend, other][i % 2]!.put(KEY, entry({ i })),
    );
    await Promise.all(writes);
    const stored = await backend.get(KEY);
    assertEquals(stored, entry({ i: stored?.i }));
    assertEquals((await look("metadata")).body.data.current_version, 8);
    await other.close();
    await vault.request("POST", "secret/config", { cas_required: false });
  }));
