import { assertEquals } from "@std/assert";
import { FileCredentialsBackend, KvCredentialsBackend, type PutOptions } from "@validmind/auth";
import { CredentialStore } from "../../client/tokens/store.ts";
import { entry, KEY } from "../support/entries.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const ROTATED = entry({ refresh_token: "fixture-rotated" });

const MAKE = {
  file: () => new FileCredentialsBackend({ path: `${folder()}/c.json` }),
  kv: () => new KvCredentialsBackend({ path: `${folder()}/c.db` }),
};

for (const [name, make] of Object.entries(MAKE)) {
  Deno.test({
    name: `a put to ${name} leaves an entry that is not the one to replace, whoever changed it`,
    permissions,
    async fn() {
      const backend = make();
      const isReplaced: PutOptions["isReplaced"] = (stored) => stored?.access_token === "other";
      await backend.put(KEY, entry(), { isReplaced });
      assertEquals(await backend.get(KEY), undefined);
      await backend.put(KEY, entry());
      await backend.put(KEY, ROTATED, { isReplaced });
      assertEquals(await backend.get(KEY), entry());
      const fill = "f".repeat(100_000);
      await backend.put(KEY, entry({ access_token: "other", fill }));
      await backend.put(KEY, ROTATED, { isReplaced });
      assertEquals(await backend.get(KEY), ROTATED);
      await (backend as { close?(): Promise<void> }).close?.();
    },
  });

  Deno.test({
    name: `a sign-out from ${name} between a session's look and its write is not undone`,
    permissions,
    async fn() {
      const backend = make();
      await backend.put(KEY, entry());
      const put = backend.put.bind(backend);
      backend.put = async (...args) => {
        await backend.delete(KEY); // by another process, which got no lock
        await put(...args);
      };
      const store = new CredentialStore(backend, KEY);
      assertEquals(await store.replace(ROTATED, entry()), false);
      assertEquals(await backend.get(KEY), undefined);
      await (backend as { close?(): Promise<void> }).close?.();
    },
  });
}
