import { unexpected } from "./vault_answer.ts";
import { vaultError } from "./vault_error.ts";
import type { VaultKv } from "./vault_kv.ts";
import { KvVersion1 } from "./vault_kv1.ts";
import { KvVersion2 } from "./vault_kv2.ts";
import { encodePath } from "./vault_path.ts";
import type { VaultSession } from "./vault_session.ts";

/**
 * Finds out the version of the engine at a mount, by the request that `vault kv` itself makes: every
 * token may ask for a mount in which it may do something.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `invalid_options`, and as the session's.
 */
export async function openVaultKv(
  session: VaultSession,
  mount: string,
  path: string,
): Promise<VaultKv> {
  const action = "use";
  const answer = await session.request({
    action,
    method: "GET",
    path: `sys/internal/ui/mounts/${encodePath(mount)}`,
  });
  if (answer.status !== 200) throw unexpected(action, session.place, answer);
  const { data } = answer.body as { data?: { type?: unknown; path?: unknown; options?: unknown } };
  if (!["kv", "generic"].includes(String(data?.type)) || data?.path !== `${mount}/`) {
    throw vaultError(
      "invalid_options",
      action,
      session.place,
      `"${mount}" is no mount of a KV secrets engine`,
      `Give the mount alone in the option "mount", and what comes after it in "path".`,
    );
  }
  const { version } = (data?.options ?? {}) as { version?: unknown };
  return version === "2"
    ? new KvVersion2(session, encodePath(mount), encodePath(path))
    : new KvVersion1(session, `${encodePath(mount)}/${encodePath(path)}`);
}
