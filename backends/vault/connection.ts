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
}

type Reader = (name: string) => string | undefined;

export const VAULT_TOKEN = "VAULT_TOKEN";
const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** The connection of the options. Without an address there, it comes from the variables of Vault. */
export function vaultConnection(options: VaultCredentialsBackendOptions): VaultConnection {
  const action = "use Vault";
  const { address, namespace, caCert } = merged(options, (name) => readEnv(name, "find Vault"));
  if (address === undefined) {
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot ${action}: its address is not known. Set VAULT_ADDR, or give "address" in the ` +
        `options of the store.`,
    );
  }
  const from = options.address === undefined ? "VAULT_ADDR" : `option "address"`;
  const url = parseVaultAddress(action, from, address);
  checkNamespace(action, "VAULT_NAMESPACE", namespace ?? "");
  return { address: url, namespace, caCert };
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
  const { address, namespace } = merged(options, readEnvIfGranted);
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
  const variables: string[] = [];
  const { address, caCert } = merged(options, (name) => {
    variables.push(name);
    return readEnvIfGranted(name);
  });
  const auth = options.auth ?? { method: "token" };
  const isGiven = auth.method === "token" && (auth.token ?? auth.tokenFile) !== undefined;
  if (auth.method === "token" && !isGiven) variables.push(VAULT_TOKEN);
  const file = vaultLoginFile(auth, (name) => {
    variables.push(name);
    return readEnvIfGranted(name);
  });
  const url = URL.parse(address ?? "");
  return [
    ...(url === null ? [] : [{ name: "net", host: netHost(url) } as const]),
    ...variables.map((variable): BackendPermission => ({ name: "env", variable })),
    ...[caCert, file].filter((path) => path !== undefined)
      .map((path): BackendPermission => ({ name: "read", path })),
  ];
}

/** The options with the variables. An address that is given takes nothing of where from these. */
function merged(options: VaultCredentialsBackendOptions, read: Reader) {
  if (options.address !== undefined) return options;
  return {
    address: read("VAULT_ADDR"),
    namespace: options.namespace ?? read("VAULT_NAMESPACE"),
    caCert: options.caCert ?? read("VAULT_CACERT"),
  };
}
