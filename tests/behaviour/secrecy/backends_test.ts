import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

const BACKENDS: Record<string, () => OidcCredentialsBackend> = {
  "file": () => new FileCredentialsBackend({ path: `${folder()}/credentials.json` }),
  "memory": () => new MemoryCredentialsBackend(),
  "kv in memory": () => new KvCredentialsBackend(),
  "kv on a path": () => new KvCredentialsBackend({ path: `${folder()}/kv.db` }),
};

for (const [name, create] of Object.entries(BACKENDS)) {
  Deno.test({
    name:
      `an entry that a ${name} backend cannot take shows no token in the error, nor does the backend`,
    permissions,
    async fn() {
      const backend = create();
      const circular = entry();
      circular.x_self = circular;
      await backend.put(KEY, entry());
      const errors: unknown[] = [backend];
      for (const value of [entry({ x_big: 1n }), circular]) {
        await Promise.try(() => backend.put(OTHER, value)).catch((error) => errors.push(error));
      }
      assertEquals(errors.length, 3);
      assertNoSecret(errors);
      await backend.close?.();
    },
  });
}
