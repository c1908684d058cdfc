import { DENO, mustRun } from "../../support/deno_process.ts";
import { pageFences } from "../../readme_reader.ts";
import { startVault, type VaultServer } from "../../support/servers/vault_server.ts";
import { signJwt } from "../../support/jwt.ts";
import { tempDir } from "../../support/temp_home.ts";
import type { HubFolder } from "./hub_folder.ts";
import type { HubOptions } from "./hub_process.ts";

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** A Vault that knows the hub's people by what the hub signs. */
export type HubVault = Awaited<ReturnType<typeof startHubVault>>;

/** Starts it, with the login and the policy of the page. */
export async function startHubVault() {
  await using folder = await tempDir();
  const vault = await startVault();
  await administer(vault, "Vault on one machine", folder.path);
  const key = await Deno.readTextFile(`${folder.path}/vault-login.pem`);
  const der = Uint8Array.fromBase64(key.replaceAll(/-----.*-----/g, ""));
  const privateKey = await crypto.subtle.importKey("pkcs8", der, RS256, false, ["sign"]);
  return {
    vault,
    /** The hub's key, as PEM. */
    key,
    /** What the hub signs for a person. */
    login(name: string): Promise<string> {
      const now = Math.floor(Date.now() / 1000);
      const claims = { sub: name, aud: "vault", iat: now, exp: now + 600 };
      return signJwt(claims, { kid: "hub", privateKey });
    },
  };
}

/** Types what a part of the page has for the administrator of Vault, in a folder. */
export async function administer(
  vault: VaultServer,
  heading: "Vault on one machine" | "Kubernetes",
  folder: string,
  fill = (commands: string) => commands,
): Promise<void> {
  const program = `${import.meta.dirname}/vault_program.ts`;
  const shim = `vault() { '${DENO}' run -A --no-config '${program}' "$@"; }`;
  const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.rootToken };
  const type = (commands: string) =>
    mustRun(["sh", "-ec", `${shim}\n${commands}`], { env, cwd: folder });
  const page = await pageFences("client/hubs.md");
  const text = (language: string) =>
    page.find((fence) => fence.heading === heading && fence.language === language)!.text;
  const [list, write] = page.filter(({ language, text }) =>
    language === "inline" && text.startsWith("vault ")
  );
  await type(fill(text("sh")));
  const [, mount] = /auth enable (\w+)/.exec(text("sh"))!;
  const { accessor } = JSON.parse(await type(list!.text))[`${mount}/`];
  const { text: hcl } = page.find(({ language }) => language === "hcl")!;
  const own = heading === "Kubernetes"
    ? hcl.replaceAll("ACCESSOR.name", "ACCESSOR.metadata.service_account_name")
    : hcl;
  await Deno.writeTextFile(`${folder}/notebooks.hcl`, own.replaceAll("ACCESSOR", accessor));
  await type(write!.text);
}

/** What the recipe for Vault needs of the machine, and the hub's key in its place. */
export async function placesForVault(
  { path }: HubFolder,
  { vault, key }: Pick<HubVault, "vault" | "key">,
): Promise<Pick<HubOptions, "environment" | "places">> {
  const places = { KEY: `${path}/vault-login.pem`, LOGINS: `${path}/logins` };
  await Deno.writeTextFile(places.KEY, key, { mode: 0o600 });
  return { environment: { VAULT_ADDR: vault.url }, places };
}
