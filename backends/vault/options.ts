import {
  checkFunctionOption,
  checkOptions,
  checkPathOption,
  checkTimeoutOption,
} from "../common/check_options.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { isSecureUrl } from "../common/hosts.ts";

/** With a token that somebody else got from Vault. */
export interface VaultTokenAuth {
  /** Which way. */
  method: "token";
  /**
   * The token. Secret.
   *
   * @default `VAULT_TOKEN`, or `BAO_TOKEN`
   */
  token?: string;
  /**
   * A file that holds the token, such as the sink of a Vault Agent; `true` is `~/.vault-token`, where
   * `vault login` leaves it. It is read again when the token in it has ended.
   */
  tokenFile?: string | true;
}

/** With an AppRole. */
export interface VaultAppRoleAuth {
  /** Which way. */
  method: "approle";
  /** The role's id. */
  roleId: string;
  /** The secret id, where the role has one. Secret. */
  secretId?: string;
  /** A file that holds the secret id, read at each login. */
  secretIdFile?: string;
  /**
   * Where the method is mounted.
   *
   * @default "approle"
   */
  mount?: string;
}

/** With a signed token of the platform: of a Kubernetes service account, or of a CI job. */
export interface VaultJwtAuth {
  /** Which way. */
  method: "jwt" | "kubernetes";
  /** The role at that method. */
  role: string;
  /**
   * A file that holds the signed token, read at each login.
   *
   * @default for `kubernetes` "/var/run/secrets/kubernetes.io/serviceaccount/token"
   */
  jwtFile?: string;
  /**
   * Where the method is mounted.
   *
   * @default the method's name
   */
  mount?: string;
}

/** How to log in to Vault. */
export type VaultAuth = VaultTokenAuth | VaultAppRoleAuth | VaultJwtAuth;

/** Options of {@linkcode VaultCredentialsBackend}. */
export interface VaultCredentialsBackendOptions {
  /**
   * The folder of one person's entries within the mount, such as `"users/anna"`. There is no default:
   * people who share a folder share their sign-in.
   */
  path: string;
  /**
   * The server's address, with the path of a proxy if there is one. `http:` is for loopback only: a
   * token would travel in clear text.
   *
   * @default `VAULT_ADDR`, or `BAO_ADDR`
   */
  address?: string;
  /**
   * The namespace (Vault Enterprise, OpenBao).
   *
   * @default `VAULT_NAMESPACE` beside `VAULT_ADDR`, or `BAO_NAMESPACE` beside `BAO_ADDR`; none where
   * `address` is given
   */
  namespace?: string;
  /**
   * A PEM file with the certificates of the authority that signed the server's.
   *
   * @default `VAULT_CACERT` beside `VAULT_ADDR`, or `BAO_CACERT` beside `BAO_ADDR`; where `address` is
   * given the authorities that Deno knows
   */
  caCert?: string;
  /**
   * Addresses of the cluster's other nodes. A standby that does not pass requests on redirects to the
   * active node: it is followed to these, and the token goes nowhere else.
   *
   * @default none
   */
  nodes?: readonly string[];
  /**
   * How to log in.
   *
   * @default { method: "token" }
   */
  auth?: VaultAuth;
  /**
   * Where the KV secrets engine is mounted. Its version, 1 or 2, is found out.
   *
   * @default "secret"
   */
  mount?: string;
  /**
   * Longest time for one request, in milliseconds, with the repeats while Vault is sealed, starting,
   * overloaded or out of reach.
   *
   * @default 15_000
   */
  timeoutMs?: number;
  /**
   * Longest wait for another holder's lock, in milliseconds. One that died blocks it for 15 seconds.
   *
   * @default 30_000
   */
  lockTimeoutMs?: number;
  /**
   * Replaces `fetch`. It gets the Vault token.
   *
   * @default globalThis.fetch
   */
  fetch?: typeof fetch;
}

const NAMES = [
  "path",
  "address",
  "namespace",
  "caCert",
  "nodes",
  "auth",
  "mount",
  "timeoutMs",
  "lockTimeoutMs",
  "fetch",
];

/** The fields of each way to log in, and whether it cannot do without them. */
const AUTH_FIELDS: Record<VaultAuth["method"], Record<string, "text" | "file" | "needed">> = {
  token: { token: "text", tokenFile: "file" },
  approle: { roleId: "needed", secretId: "text", secretIdFile: "file", mount: "text" },
  jwt: { role: "needed", jwtFile: "file", mount: "text" },
  kubernetes: { role: "needed", jwtFile: "file", mount: "text" },
};

/** Checks all options, before any work. No value is shown: it may be a secret in the wrong place. */
export function checkVaultOptions(action: string, options: VaultCredentialsBackendOptions): void {
  checkOptions(action, options, NAMES);
  const { path, address, namespace, caCert, nodes = [], auth, mount = "secret" } = options;
  checkVaultPath(action, "path", path);
  checkVaultPath(action, "mount", mount);
  if (address !== undefined) parseVaultAddress(action, `option "address"`, address);
  if (!Array.isArray(nodes)) {
    throw invalid(action, `option "nodes" is no array`, "Give addresses, or leave it out.");
  }
  for (const node of nodes) parseVaultAddress(action, `an address in option "nodes"`, node);
  if (namespace !== undefined) checkNamespace(action, `option "namespace"`, namespace);
  if (caCert !== undefined) checkFile(action, "caCert", caCert);
  if (auth !== undefined) checkAuth(action, auth);
  checkTimeoutOption(action, "timeoutMs", options.timeoutMs ?? 0);
  checkTimeoutOption(action, "lockTimeoutMs", options.lockTimeoutMs ?? 0);
  checkFunctionOption(action, "fetch", options.fetch ?? fetch);
}

/** The address as a URL without a slash at its end. */
export function parseVaultAddress(action: string, what: string, address: unknown): URL {
  const url = typeof address === "string" ? URL.parse(address) : null;
  const isPlain = url !== null && /^https?:$/.test(url.protocol) &&
    url.username + url.password + url.search + url.hash === "";
  if (!isPlain) {
    throw invalid(
      action,
      `${what} is no plain http(s) URL`,
      `Give one such as "https://vault.example.com:8200", without a user name, a password and a query.`,
    );
  }
  if (!isSecureUrl(url)) {
    throw invalid(
      action,
      `${what} (${url.origin}) would get tokens in clear text`,
      "Use https:, or a Vault Agent or Proxy on this host's loopback.",
    );
  }
  url.pathname = url.pathname.replace(/\/+$/, "");
  return url;
}

/** Refuses what cannot stand in a header. */
export function checkNamespace(action: string, what: string, namespace: unknown): void {
  if (typeof namespace === "string" && /^[\x21-\x7e]*$/.test(namespace)) return;
  throw invalid(action, `${what} is no text that a header can carry`, `Give one such as "team-a".`);
}

/**
 * Refuses a mount or a path that would lead elsewhere than it says. An empty segment is what is left
 * of a user's name that is not there, and would be everybody's.
 */
function checkVaultPath(action: string, option: string, path: unknown): void {
  const reason = typeof path !== "string" || path === ""
    ? "is not a non-empty string"
    // deno-lint-ignore no-control-regex -- they are what is looked for
    : /[\u0000-\u001f\u007f]/.test(path)
    ? "has a control character"
    : path.split("/").some((segment) => segment.trim() === "")
    ? "has an empty segment, or begins or ends with a slash"
    : path.split("/").some((segment) => segment === "." || segment === "..")
    ? 'has a segment "." or ".."'
    : undefined;
  if (reason === undefined) return;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action}: option "${option}" ${reason}. Give one such as ` +
      `${option === "path" ? '"users/anna"' : '"secret"'}.`,
  );
}

function checkAuth(action: string, auth: VaultAuth): void {
  const fields = Object.hasOwn(AUTH_FIELDS, auth?.method) ? AUTH_FIELDS[auth.method] : undefined;
  if (fields === undefined) {
    const methods = Object.keys(AUTH_FIELDS).join(", ");
    throw invalid(action, `option "auth" has no known "method"`, `Give one of ${methods}.`);
  }
  checkOptions(action, auth, ["method", ...Object.keys(fields)]);
  const given = auth as unknown as Record<string, unknown>;
  for (const [name, kind] of Object.entries(fields)) {
    const value = given[name];
    if (value === undefined && kind !== "needed") continue;
    if (name === "tokenFile" && value === true) continue;
    if (kind === "file") {
      checkFile(action, `auth.${name}`, value);
    } else if (name === "mount") {
      checkVaultPath(action, "auth.mount", value);
    } else if (typeof value !== "string" || value.trim() === "") {
      throw invalid(action, `option "auth.${name}" is not a non-empty string`, "Give one.");
    }
  }
  checkOneSource(action, given);
}

function checkOneSource(action: string, given: Record<string, unknown>): void {
  for (const [one, other] of [["token", "tokenFile"], ["secretId", "secretIdFile"]] as const) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw invalid(action, `options "auth.${one}" and "auth.${other}" are both given`, "Give one.");
  }
  if (given.method === "jwt" && given.jwtFile === undefined) {
    throw invalid(action, `option "auth.jwtFile" is missing`, "Give the file of the signed token.");
  }
}

function checkFile(action: string, name: string, path: unknown): void {
  try {
    checkPathOption(action, path);
  } catch (error) {
    if (!(error instanceof CredentialsBackendError)) throw error;
    throw invalid(action, `option "${name}" is no plain path of a file`, "Give one.");
  }
}

function invalid(action: string, reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", `Cannot ${action}: ${reason}. ${advice}`);
}
