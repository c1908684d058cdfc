import { checkOptions, type OptionTypes } from "../common/check_options.ts";
import { proxyPermissions, readEnv, readEnvIfGranted } from "../common/environment.ts";
import { netHost, parsePlainUrl } from "../common/host.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { BackendPermission } from "../oidc_credentials_backend.ts";

/**
 * Login with a token that Vault has given before.
 *
 * @category Backends
 */
export interface VaultTokenAuth {
  /** The login method. */
  method: "token";
  /**
   * The token. Secret. Without a token, requests to this host's loopback are sent without one, since
   * a Vault Agent or Proxy there adds its own.
   *
   * @default {VAULT_TOKEN}
   */
  token?: string;
  /**
   * A file with the token, such as the sink of a Vault Agent, or the `.vault-token` of `vault login` in the
   * home folder. It is read again when its token has ended.
   */
  tokenFile?: string;
}

/**
 * Login with an AppRole.
 *
 * @category Backends
 */
export interface VaultAppRoleAuth {
  /** The login method. */
  method: "approle";
  /** The role's id. */
  roleId: string;
  /** The secret id, where the role has one. Secret. */
  secretId?: string;
  /** A file with the secret id. It is read at each login. */
  secretIdFile?: string;
  /**
   * The mount of the method.
   *
   * @default {"approle"}
   */
  mount?: string;
}

/**
 * Login with a signed token of the platform, such as a Kubernetes service account's or a CI job's.
 *
 * @category Backends
 */
export interface VaultJwtAuth {
  /** The login method. */
  method: "jwt" | "kubernetes";
  /** The role of the method. */
  role: string;
  /**
   * A file with the signed token. It is read at each login.
   *
   * @default {"/var/run/secrets/kubernetes.io/serviceaccount/token"}
   */
  jwtFile?: string;
  /**
   * The mount of the method.
   *
   * @default {the method's name}
   */
  mount?: string;
}

/**
 * The login to Vault.
 *
 * @category Backends
 */
export type VaultAuth = VaultTokenAuth | VaultAppRoleAuth | VaultJwtAuth;

/**
 * Options of {@linkcode VaultCredentialsBackend}.
 *
 * @category Backends
 */
export interface VaultCredentialsBackendOptions {
  /**
   * The folder of one person's entries within the mount, such as `"users/anna"`. There is no default,
   * since people who share a folder share their sign-in.
   */
  path: string;
  /**
   * The server's address, with the path of a proxy if there is one. `http:` is for loopback only,
   * since a token would travel in clear text. No redirect is followed, so that the token goes nowhere
   * else.
   *
   * @default {VAULT_ADDR}
   */
  address?: string;
  /**
   * The namespace (Vault Enterprise, OpenBao).
   *
   * @default {VAULT_NAMESPACE, or none where address is given}
   */
  namespace?: string;
  /**
   * A PEM file with the certificates of the authority that signed the server's certificate.
   *
   * @default {VAULT_CACERT, or where address is given the authorities that Deno knows}
   */
  caCert?: string;
  /**
   * The login.
   *
   * @default {method: "token"}
   */
  auth?: VaultAuth;
  /**
   * The mount of the KV secrets engine, which has to be of version 2.
   *
   * @default {"secret"}
   */
  mount?: string;
  /**
   * Longest time for one request, in milliseconds. It includes the repeats while Vault is sealed,
   * starting, overloaded or out of reach.
   *
   * @default {15_000}
   */
  timeoutMs?: number;
  /**
   * Longest wait for another holder's lock, in milliseconds. A holder that was killed blocks others
   * for 23 seconds: a shorter wait fails.
   *
   * @default {40_000}
   */
  lockTimeoutMs?: number;
  /**
   * Replaces `fetch`. It receives the Vault token.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof fetch;
}

/** A further option, for tests: takes the place of the system's timer. */
export const TIMER: unique symbol = Symbol("timer");

const TYPES: OptionTypes = {
  path: "any",
  address: "text",
  namespace: "text",
  caCert: "path",
  auth: "object",
  mount: "text",
  timeoutMs: "milliseconds",
  lockTimeoutMs: "milliseconds",
  fetch: "function",
};

/** The fields of each login method, beside `method`. */
const AUTH_TYPES: Record<VaultAuth["method"], OptionTypes> = {
  token: { token: "text", tokenFile: "path" },
  approle: { roleId: "text", secretId: "text", secretIdFile: "path", mount: "text" },
  jwt: { role: "text", jwtFile: "path", mount: "text" },
  kubernetes: { role: "text", jwtFile: "path", mount: "text" },
};

const ACTION = "use VaultCredentialsBackend";

/** Checks all options, before any work. No value is shown: it may be a secret in the wrong place. */
export function checkVaultOptions(options: VaultCredentialsBackendOptions) {
  checkOptions(ACTION, options, TYPES);
  const { path, address, auth, mount = "secret" } = options;
  checkVaultPath("path", path);
  checkVaultPath("mount", mount);
  if (address !== undefined) parseVaultAddress(`option "address"`, address);
  if (auth !== undefined) checkAuth(auth);
}

/** The address as a URL without a slash at its end. */
function parseVaultAddress(name: string, address: string) {
  const url = parsePlainUrl(address);
  if (!url) {
    throw invalid(
      `${name} is not a plain https: URL`,
      `Give one such as "https://vault.example.com:8200", without a user name, a password and a ` +
        `query. http: is only for a Vault Agent or Proxy on this host's loopback, since tokens travel ` +
        `in clear text.`,
    );
  }
  url.pathname = url.pathname.replace(/\/+$/, "");
  return url;
}

/**
 * Refuses a mount or a path that would lead to another folder. An empty segment remains of a user
 * name that is not set, and its folder would belong to everybody. So would a folder "$USER".
 */
function checkVaultPath(name: string, path: unknown) {
  const segments = typeof path === "string" ? path.split("/") : [""];
  // deno-lint-ignore no-control-regex -- control characters are refused
  if (segments.every((one) => !/^\s*$|^\.\.?$|[\u0000-\u001f\u007f]|\$[A-Z{]/.test(one))) return;
  throw invalid(
    `option "${name}" is missing, or has a segment that is empty, "." or "..", a control character, ` +
      `or a variable such as $USER (in the KWARGS variable: \${USER})`,
    `Give a path such as "users/anna", or a mount such as "secret".`,
  );
}

function checkAuth(auth: VaultAuth) {
  const login = `${ACTION} by its option "auth"`;
  checkOptions(login, { method: String(auth.method) }, { method: Object.keys(AUTH_TYPES) });
  checkOptions(login, auth, { method: "any", ...AUTH_TYPES[auth.method] });
  const { mount } = auth as { mount?: string };
  if (mount !== undefined) checkVaultPath("auth.mount", mount);
}

function invalid(reason: string, remedy: string) {
  return new CredentialsBackendError("invalid_options", { action: ACTION, reason, remedy });
}

export type VaultConnection = ReturnType<typeof vaultConnection>;

export const VAULT_TOKEN = "VAULT_TOKEN";
const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** The connection of the options. Without an address there, it comes from the variables of Vault. */
export function vaultConnection(options: VaultCredentialsBackendOptions) {
  const { address, namespace, caCert } = merged(options, (name) => readEnv(name, "find Vault"));
  if (address === undefined) {
    throw invalid("its address is not known", `Set VAULT_ADDR, or the option "address".`);
  }
  return { address: parseVaultAddress("VAULT_ADDR", address), namespace, caCert };
}

/** The file that the login reads, if it reads one. */
export function vaultLoginFile(auth: VaultAuth): string | undefined {
  if (auth.method === "token") return auth.tokenFile;
  if (auth.method === "approle") return auth.secretIdFile;
  return auth.jwtFile ?? SERVICE_ACCOUNT_TOKEN;
}

/** The store in words, as far as the variable with the address can be read. */
export function describeVault(options: VaultCredentialsBackendOptions) {
  const { mount = "secret", path } = options;
  const { address, namespace } = merged(options, readEnvIfGranted);
  const url = URL.parse(address ?? "");
  const server = url ? `${url.origin}${url.pathname.replace(/\/+$/, "")}` : "VAULT_ADDR";
  const inNamespace = namespace ? `, namespace ${namespace}` : "";
  return `Vault at ${server}${inNamespace}, ${mount}/${path}`;
}

/** The permissions that the options need, as far as variables can be read already. */
export function vaultPermissions(options: VaultCredentialsBackendOptions): BackendPermission[] {
  const variables: string[] = [];
  const read = (name: string) => {
    variables.push(name);
    return readEnvIfGranted(name);
  };
  const { address, caCert } = merged(options, read);
  const auth = options.auth ?? { method: "token" };
  const file = vaultLoginFile(auth);
  if (auth.method === "token" && (auth.token ?? file) === undefined) variables.push(VAULT_TOKEN);
  const url = URL.parse(address ?? "");
  const needs: BackendPermission[] = [];
  if (url) needs.push({ name: "net", host: netHost(url) }, ...proxyPermissions(url.href));
  for (const variable of variables) needs.push({ name: "env", variable });
  for (const path of [caCert, file]) if (path !== undefined) needs.push({ name: "read", path });
  return needs;
}

/** The options with the variables. An address that is given takes nothing of where from these. */
function merged(options: VaultCredentialsBackendOptions, read: typeof readEnvIfGranted) {
  if (options.address !== undefined) return options;
  return {
    address: read("VAULT_ADDR"),
    namespace: options.namespace ?? read("VAULT_NAMESPACE"),
    caCert: options.caCert ?? read("VAULT_CACERT"),
  };
}
