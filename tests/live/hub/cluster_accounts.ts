import type { KubernetesCluster } from "../../support/servers/kubernetes_server.ts";
import type { VaultServer } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { administer } from "./hub_vault.ts";

const PAGE = new URL("../../../client/hubs.md", import.meta.url);

/** Makes a namespace, with the account that every pod has: there is no controller to make it. */
export async function makeNamespace(cluster: KubernetesCluster, name: string): Promise<void> {
  await cluster.admin(["create", "namespace", name]);
  await makeAccount(cluster, "default", name);
}

/** Makes a service account. */
export async function makeAccount(cluster: KubernetesCluster, name: string, namespace: string) {
  await cluster.admin(["create", "serviceaccount", name, "--namespace", namespace]);
}

/** A token of a service account, as a projected file has it. */
export async function tokenOf(
  cluster: KubernetesCluster,
  name: string,
  namespace: string,
  ...audiences: string[]
): Promise<string> {
  const wanted = audiences.flatMap((audience) => ["--audience", audience]);
  return (await cluster.admin(["create", "token", name, "--namespace", namespace, ...wanted]))
    .trim();
}

/** Types what the page has for the administrator of Vault. Vault's account has no role yet. */
export async function introduceToVault(cluster: KubernetesCluster, vault: VaultServer) {
  await using folder = await tempDir();
  await makeNamespace(cluster, "vault");
  await makeAccount(cluster, "vault", "vault");
  const reviewer = await tokenOf(cluster, "vault", "vault");
  await Deno.copyFile(cluster.caFile, `${folder.path}/ca.pem`);
  const outside = `${cluster.url} kubernetes_ca_cert=@ca.pem disable_local_ca_jwt=true ` +
    `token_reviewer_jwt=${reviewer}`;
  const fill = (commands: string) => commands.replace("https://kubernetes.default.svc", outside);
  await administer(vault, "Kubernetes", folder.path, fill);
}

/** Gives Vault's account its role, by the command of the page. */
export async function letVaultReview(cluster: KubernetesCluster): Promise<void> {
  const page = await Deno.readTextFile(PAGE);
  const [, command] = /`kubectl (create clusterrolebinding vault [^`]+)`/.exec(page)!;
  await cluster.admin(command!.split(/\s+/));
}
