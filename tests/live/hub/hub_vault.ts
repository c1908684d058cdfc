import { startVault, type VaultServer } from "../../support/servers/vault_server.ts";
import { signJwt } from "../../support/jwt.ts";
import type { HubFolder } from "./hub_folder.ts";
import type { HubOptions } from "./hub_process.ts";

const POLICY = new URL("./recipes/notebooks.hcl", import.meta.url);
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};

/** A Vault that knows the hub's people by what the hub signs. */
export interface HubVault {
  vault: VaultServer;
  /** The hub's key, as PEM. */
  key: string;
  /** What the hub signs for a person. */
  login(name: string): Promise<string>;
}

/** Starts it, with the login and the policy of the page. */
export async function startHubVault(): Promise<HubVault> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(RSA, true, ["sign", "verify"]);
  const vault = await startVault();
  await vault.request("POST", "sys/auth/jwt", { type: "jwt" });
  const pem = await toPem("PUBLIC KEY", "spki", publicKey);
  await vault.request("POST", "auth/jwt/config", { jwt_validation_pubkeys: [pem] });
  await vault.request("POST", "auth/jwt/role/notebooks", {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: ["vault"],
    token_policies: ["notebooks"],
    token_ttl: "1h",
  });
  const { body } = await vault.request("GET", "sys/auth");
  const policy = (await Deno.readTextFile(POLICY)).replaceAll(
    "ACCESSOR",
    body.data["jwt/"].accessor,
  );
  await vault.request("PUT", "sys/policies/acl/notebooks", { policy });
  const key = await toPem("PRIVATE KEY", "pkcs8", privateKey);
  const login = (name: string) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: name, aud: "vault", iat: now, exp: now + 600 };
    return signJwt(claims, { kid: "hub", privateKey });
  };
  return { vault, key, login };
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

async function toPem(label: string, format: "spki" | "pkcs8", key: CryptoKey): Promise<string> {
  const text = new Uint8Array(await crypto.subtle.exportKey(format, key)).toBase64();
  return `-----BEGIN ${label}-----\n${text.replace(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`;
}
