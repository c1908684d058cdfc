import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { credentialKey } from "../../../client/entry.ts";
import { mustRun } from "../../support/deno_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { tempDir } from "../../support/temp_home.ts";
import { startHubVault } from "./hub_vault.ts";

const FOLDERS = ["./recipes/", "../../support/"].map((path) =>
  fromFileUrl(new URL(path, import.meta.url))
);
const [ISSUER, CLIENT] = ["https://login.example.com", "my-client"];
const ENTRY = { access_token: "at-1", refresh_token: "rt-1", expires_at: "2099-01-01T00:00:00Z" };

/** The calls of the library's release, and those of its pull request for stores. */
const CALLS = { "the release": "", "the pull request": ", backend=object()" };

const live = await liveTests("vault", "validmind-library");

for (const [library, backend] of Object.entries(CALLS)) {
  live.test(`validmind_vault.py: one store for both languages, by the calls of ${library}`, async () => {
    const { vault, login } = await startHubVault();
    await using _ = vault;
    await using folder = await tempDir();
    const jwtFile = `${folder.path}/login`;
    await Deno.writeTextFile(jwtFile, await login("anna"), { mode: 0o600 });
    const options = {
      path: "users/anna",
      auth: { method: "jwt", role: "notebooks", jwtFile },
    } as const;
    const python = async (code: string) =>
      JSON.parse(
        await mustRun([await serverBinary("validmind-library"), "-c", PYTHON + code], {
          env: {
            PYTHONPATH: FOLDERS.join(":"),
            VAULT_ADDR: vault.url,
            VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options),
          },
        }),
      );
    const deno = new VaultCredentialsBackend({ address: vault.url, ...options });
    const entryKey = credentialKey(ISSUER, CLIENT);

    const get = `store.get_cached_entry(*WHO${backend})`;
    assertEquals(await python(`tell(${get})`), null);
    await python(`tell(store.upsert_cached_entry(*WHO, ${JSON.stringify(ENTRY)}${backend}))`);
    const stored = { issuer: ISSUER, client_id: CLIENT, ...ENTRY };
    assertEquals(await deno.get(entryKey), stored);
    await deno.put(entryKey, { ...stored, access_token: "at-2" });
    assertEquals(await python(`tell(${get})`), { ...stored, access_token: "at-2" });
    await python(`tell(store.delete_cached_entry(*WHO${backend}))`);
    assertEquals(await deno.get(entryKey), undefined);
    await deno.close();
  });
}

const PYTHON = `
import json
import validmind_library
import validmind_vault
from validmind import credentials_store as store
validmind_vault.install()
WHO = ("${ISSUER}", "${CLIENT}")
def tell(value):
    print(json.dumps(value))
`;
