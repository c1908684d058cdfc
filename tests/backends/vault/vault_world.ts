import type { VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import type { VaultServer } from "../../support/servers/vault_server.ts";

const SOURCE = new URL("../../../backends/vault.ts", import.meta.url);

/** The policy of the backend's documentation, as it stands there. */
export async function documentedPolicy(): Promise<string> {
  const text = (await Deno.readTextFile(SOURCE)).replace(/^ \* ?/gm, "");
  const [policy, ...others] = [...text.matchAll(/```hcl\n(.*?)```/gs)].map(([, hcl]) => hcl);
  if (policy === undefined || others.length > 0) {
    throw new Error("the documentation has not one policy");
  }
  return policy;
}

/** A token that may do what the documentation says is enough for a user's path, and no more. */
export async function userToken(vault: Pick<VaultServer, "request">, user: string, fields = {}) {
  const policy = await documentedPolicy();
  const name = `validmind-${user}`;
  await vault.request("PUT", `sys/policies/acl/${name}`, {
    policy: policy.replaceAll("NAME", user),
  });
  const { body } = await vault.request("POST", "auth/token/create", {
    policies: [name],
    ttl: "1h",
    ...fields,
  });
  return body.auth.client_token;
}

/** A backend for the path `users/anna` with a token, and whatever else is wanted. */
export function vaultBackend(
  vault: Pick<VaultServer, "url">,
  token: string,
  options: Partial<VaultCredentialsBackendOptions> = {},
): VaultCredentialsBackend {
  return new VaultCredentialsBackend({
    address: vault.url,
    path: "users/anna",
    auth: { method: "token", token },
    ...options,
  });
}
