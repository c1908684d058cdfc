import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startHubVault } from "./hub_vault.ts";
import { pythonLibrary } from "./python_library.ts";

const [ISSUER, CLIENT] = ["https://login.example.com", "my-client"];
const ENTRY = { access_token: "at-1", refresh_token: "rt-1", expires_at: "2099-01-01T00:00:00Z" };

/** The calls of the library's release, and those of its pull request for stores. */
const CALLS = { "the release": "", "the pull request": ", backend=object()" };

const live = await liveTests("vault", "validmind-library");

for (const [library, backend] of Object.entries(CALLS)) {
  live.test(`validmind_store.py: one store for both languages, by the calls of ${library}`, async () => {
    const { vault, login } = await startHubVault();
    await using _ = vault;
    await using folder = await tempDir();
    const jwtFile = `${folder.path}/login`;
    await Deno.writeTextFile(jwtFile, await login("anna"), { mode: 0o600 });
    const options = {
      path: "users/anna",
      auth: { method: "jwt", role: "notebooks", jwtFile },
    } as const;
    const python = pythonLibrary("vault", options, { VAULT_ADDR: vault.url });
    const deno = new VaultCredentialsBackend({ address: vault.url, ...options });
    const entryKey = credentialKey(ISSUER, CLIENT);
    const call = (name: string, ...more: unknown[]) =>
      python(`store.${name}(*A${backend})`, ISSUER, CLIENT, ...more);

    assertEquals(await call("get_cached_entry"), null);
    await call("upsert_cached_entry", ENTRY);
    const stored = { issuer: ISSUER, client_id: CLIENT, ...ENTRY };
    assertEquals(await deno.get(entryKey), stored);
    await deno.put(entryKey, { ...stored, access_token: "at-2" });
    assertEquals(await call("get_cached_entry"), { ...stored, access_token: "at-2" });
    await call("delete_cached_entry");
    assertEquals(await deno.get(entryKey), undefined);
    await deno.close();
  });
}
