import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";
import { HOME_VARIABLE, netHost, readEnv, readEnvIfGranted } from "../common/platform.ts";
import {
  checkNamespace,
  parseVaultAddress,
  type VaultAuth,
  type VaultCredentialsBackendOptions,
} from "./options.ts";

export interface VaultConnection {
  readonly address: URL;
  readonly namespace: string | undefined;
  readonly caCert: string | undefined;
  /** The origins that may get the token: that of the address, and those of the other nodes. */
  readonly origins: readonly string[];
}

type Reader = (name: string) => string | undefined;

const FAMILIES = ["VAULT", "BAO"] as const;
const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * The connection of the options. Without an address there, it comes from the variables of either Vault
 * or OpenBao, so that one server's token does not go to the other.
 */
export function vaultConnection(options: VaultCredentialsBackendOptions): VaultConnection {
  const action = "use Vault";
  const read: Reader = (name) => readEnv(name, "find Vault");
  const family = addressFamily(options, read);
  if (family === undefined && options.address === undefined) {
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot ${action}: its address is not known. Set VAULT_ADDR (or BAO_ADDR), or pass the option ` +
        `"address".`,
    );
  }
  const { address, namespace, caCert } = merged(options, family, read);
  const from = options.address === undefined ? `${family}_ADDR` : `option "address"`;
  const url = parseVaultAddress(action, from, address);
  checkNamespace(action, `${family}_NAMESPACE`, namespace ?? "");
  const nodes = (options.nodes ?? []).map((node) => parseVaultAddress(action, "a node", node));
  return { address: url, namespace, caCert, origins: [url, ...nodes].map(({ origin }) => origin) };
}

/** The variable of Vault's or OpenBao's token; both where an option gives the address. */
export function vaultTokenVariables(
  options: VaultCredentialsBackendOptions,
  read: Reader = readEnvIfGranted,
): string[] {
  const family = addressFamily(options, read);
  return (family === undefined ? FAMILIES : [family]).map((name) => `${name}_TOKEN`);
}

/** The file that the login reads, if it reads one. */
export function vaultLoginFile(auth: VaultAuth, read: Reader): string | undefined {
  if (auth.method === "token") {
    if (auth.tokenFile !== true) return auth.tokenFile;
    const home = read(HOME_VARIABLE);
    return home === undefined ? undefined : `${home.replace(/[/\\]+$/, "")}/.vault-token`;
  }
  if (auth.method === "approle") return auth.secretIdFile;
  return auth.jwtFile ?? SERVICE_ACCOUNT_TOKEN;
}

/** The store in words; `undefined` while the variable with the address cannot be read. */
export function describeVault(options: VaultCredentialsBackendOptions): string | undefined {
  const { address, namespace } = merged(options, addressFamily(options, readEnvIfGranted));
  const url = URL.parse(address ?? "");
  if (url === null) return undefined;
  const server = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  const space = namespace ? `, namespace ${namespace}` : "";
  return `Vault at ${server}${space}, ${vaultFolder(options)}`;
}

export function vaultFolder({ mount = "secret", path }: VaultCredentialsBackendOptions): string {
  return `${mount}/${path}`;
}

/** The permissions that the options need, as far as variables can be read already. */
export function vaultPermissions(options: VaultCredentialsBackendOptions): BackendPermission[] {
  const family = addressFamily(options, readEnvIfGranted);
  const { address, caCert } = merged(options, family);
  const urls = [address, ...options.nodes ?? []].map((text) => URL.parse(text ?? ""));
  const hosts = new Set(urls.filter((url) => url !== null).map(netHost));
  const auth = options.auth ?? { method: "token" };
  const file = vaultLoginFile(auth, readEnvIfGranted);
  const variables = [
    ...(options.address === undefined ? addressVariables(options, family) : []),
    ...(auth.method === "token" && auth.token === undefined && auth.tokenFile === undefined
      ? neededTokenVariables(options)
      : []),
    ...(auth.method === "token" && auth.tokenFile === true ? [HOME_VARIABLE] : []),
  ];
  return [
    ...[...hosts].map((host): BackendPermission => ({ name: "net", host })),
    ...variables.map((variable): BackendPermission => ({ name: "env", variable })),
    ...[caCert, file].filter((path) => path !== undefined)
      .map((path): BackendPermission => ({ name: "read", path })),
  ];
}

/** The family of the variable with the address; `undefined` with the option, or without either. */
function addressFamily(
  { address }: VaultCredentialsBackendOptions,
  read: Reader,
): typeof FAMILIES[number] | undefined {
  return address === undefined
    ? FAMILIES.find((name) => read(`${name}_ADDR`) !== undefined)
    : undefined;
}

function merged(
  options: VaultCredentialsBackendOptions,
  family: string | undefined,
  read: Reader = readEnvIfGranted,
) {
  const value = (name: string) => family === undefined ? undefined : read(`${family}_${name}`);
  return {
    address: options.address ?? value("ADDR"),
    namespace: options.namespace ?? value("NAMESPACE"),
    caCert: options.caCert ?? value("CACERT"),
  };
}

/** The variables of OpenBao are read only where Vault's address is not set. */
function addressVariables(
  options: VaultCredentialsBackendOptions,
  family: typeof FAMILIES[number] | undefined,
): string[] {
  const names = ["ADDR"];
  if (options.namespace === undefined) names.push("NAMESPACE");
  if (options.caCert === undefined) names.push("CACERT");
  const families = family === undefined ? FAMILIES : [family];
  const all = families.flatMap((prefix) => names.map((name) => `${prefix}_${name}`));
  return family === "BAO" ? ["VAULT_ADDR", ...all] : all;
}

function neededTokenVariables(options: VaultCredentialsBackendOptions): string[] {
  const names = vaultTokenVariables(options);
  const set = names.findIndex((name) => readEnvIfGranted(name) !== undefined);
  return set === -1 ? names : names.slice(0, set + 1);
}
