/**
 * A store in HashiCorp Vault or OpenBao: {@linkcode VaultCredentialsBackend}. It is for tokens that
 * must not be kept on the host, or that several hosts share. It logs in to Vault with a token, an
 * AppRole, or the platform's own token.
 *
 * ```ts
 * import { setDefaultBackend } from "@validmind/auth";
 * import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
 *
 * // From now on every sign-in of this process is kept there.
 * setDefaultBackend(
 *   new VaultCredentialsBackend({
 *     address: "https://vault.example.com:8200",
 *     path: "users/anna",
 *     auth: { method: "kubernetes", role: "notebooks" },
 *   }),
 * );
 * ```
 *
 * A platform team can choose it by variables instead. Then no code changes:
 *
 * ```sh
 * export VAULT_ADDR=https://vault.example.com:8200
 * export VM_OIDC_CREDENTIALS_BACKEND=vault
 * export VM_OIDC_CREDENTIALS_BACKEND_KWARGS='{
 *   "path": "users/${USER}",
 *   "auth": {"method": "kubernetes", "role": "notebooks"}
 * }'
 * ```
 *
 * Needs `--allow-net` for the server, `--allow-env` for the variables of absent options, and
 * `--allow-read` of the files that the options name.
 *
 * More: [Vault and OpenBao](README.md#vault-and-openbao), with the policy and the roles;
 * [JupyterHub and Kubernetes](../client/hubs.md).
 *
 * @module
 */
import { hashOf } from "./common/bytes.ts";
import { objectIn, parseObject } from "./common/json.ts";
import { PROVES } from "./common/marks.ts";
import { Once, SYSTEM_TIMER, type Timer } from "./common/promises.ts";
import { assertRuntime } from "./common/runtime.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";
import { encodePath, type VaultAnswer, type VaultRequest } from "./vault/client.ts";
import {
  checkVaultOptions,
  describeVault,
  TIMER,
  type VaultCredentialsBackendOptions,
  vaultPermissions,
} from "./vault/options.ts";
import {
  type Fields,
  LOCK_TIMEOUT_MS,
  LockedSecrets,
  type Row,
  type SecretUse,
} from "./vault/locked_secrets.ts";
import { openVault, type VaultSession } from "./vault/session.ts";

export type {
  VaultAppRoleAuth,
  VaultAuth,
  VaultCredentialsBackendOptions,
  VaultJwtAuth,
  VaultTokenAuth,
} from "./vault/options.ts";

const READ = { action: "read credentials in" };
const WRITE = { action: "write credentials to" };
const LIST = { action: "list credentials in" };
const DELETE = { action: "delete credentials in" };
/** The most versions that an engine is taken to keep. */
const MOST_VERSIONS = 100;

/**
 * Keeps credentials in a KV secrets engine of version 2, in
 * [HashiCorp Vault](https://developer.hashicorp.com/vault) or [OpenBao](https://openbao.org). All
 * hosts that reach it can share them. The backend logs in at the first use, and again when its token
 * ends.
 *
 * **Place of an entry.** `MOUNT/PATH/NAME`, with the fields `key`, `entry`, a JSON text, and `holder`, who
 * holds its lock. The name is the SHA-256 of the key, as `printf %s 'https://login.example.com|my-app' |
 * sha256sum` gives it. After a sign-out the secret stays, with an empty entry.
 *
 * **Versions.** Every write depends on the version that it replaces, except a sign-out. `max_versions` is
 * 1 for each entry. A sign-out destroys what an engine with more versions has kept. An engine of version
 * 1 cannot compare, and is refused. `vault kv enable-versioning secret/` makes it one of version 2.
 *
 * **Late reads.** Standbys of OpenBao and of Vault Enterprise answer reads, and may be behind. So only a
 * write that succeeds proves anything: taking the lock proves the entry. A process that stands still for
 * over 23 seconds between its last write and the stored answer can cost the sign-in.
 *
 * **Policy.** The narrowest policy for an engine at `secret` and the path `users/NAME`, where
 * `NAME` is, for instance, `{{identity.entity.aliases.ACCESSOR.name}}`, with the accessor of the auth method:
 *
 * ```hcl
 * path "secret/data/users/NAME/*" {
 *   capabilities = ["create", "read", "update"]
 * }
 * path "secret/metadata/users/NAME/*" {
 *   capabilities = ["create", "update", "list"]
 * }
 * path "secret/destroy/users/NAME/*" {
 *   capabilities = ["create", "update"]
 * }
 * ```
 *
 * Most tokens have Vault's policy `default`. It allows the two requests for the token itself,
 * `auth/token/lookup-self` and `auth/token/renew-self`. A token without this policy works, but is not
 * renewed before it ends.
 *
 * **Trouble.** While Vault is sealed, changes its active node, limits requests or does not answer, a
 * request is repeated up to `timeoutMs`. After that it is an error, and never "not signed in".
 * `http:` is for loopback only. Certificates are always checked.
 *
 * Needs `--allow-net` for the server's host. Needs `--allow-env` for `VAULT_ADDR`, `VAULT_NAMESPACE` and
 * `VAULT_CACERT` unless `address` is given, and for `VAULT_TOKEN` unless `auth` gives another login.
 * Needs `--allow-read` of the files that the options name.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new VaultCredentialsBackend({
 *   address: "https://vault.example.com:8200",
 *   path: "users/anna",
 *   auth: { method: "kubernetes", role: "notebooks" },
 * });
 * assertEquals(backend.location, "Vault at https://vault.example.com:8200, secret/users/anna");
 * ```
 */
export class VaultCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "VaultCredentialsBackend";
  /** Always `true`: Vault survives the process. */
  readonly persistent = true;
  /**
   * Taking the lock is a write, which proves it.
   *
   * @ignore
   */
  readonly [PROVES] = true;
  readonly #options: VaultCredentialsBackendOptions;
  readonly #timer: Timer;
  readonly #secrets: LockedSecrets;
  readonly #session = new Once<VaultSession>();
  #location: string | undefined;

  /**
   * Touches neither the network nor the environment yet.
   *
   * @param options Vault's place, and the login.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`.
   */
  constructor(options: VaultCredentialsBackendOptions) {
    assertRuntime("create VaultCredentialsBackend");
    checkVaultOptions(options);
    // A copy: a later change by the caller must not lead to an unchecked place.
    const { fetch, ...rest } = options;
    this.#options = { ...structuredClone(rest), fetch };
    const { lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    const timer = (options as { [TIMER]?: Timer })[TIMER] ?? SYSTEM_TIMER;
    this.#timer = timer;
    const place = () => this.location;
    const engine = { read: this.#read.bind(this), write: this.#write.bind(this) };
    this.#secrets = new LockedSecrets({ engine, place, timer, lockTimeoutMs });
  }

  /** The server, the namespace, the mount and the path. */
  get location(): string {
    // Kept: a session may give up the permission to read the variables.
    return this.#location ??= describeVault(this.#options);
  }

  /** The place as {@linkcode location} names it, whatever the login. */
  get storeId(): string {
    return `vault ${this.location}`;
  }

  /**
   * The entry under `key`, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `backend_unavailable`, `backend_timeout`,
   * `backend_auth_failed`, `backend_denied`, `backend_corrupt`, `permission_required`,
   * `invalid_options` (of a variable, or of a mount that is not a KV engine of version 2).
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return entryIn(await this.#secrets.row(await hashOf(key), key, READ));
  }

  /**
   * Stores `entry` under `key`. Under the key's lock, a write without `isReplaced` takes place only if
   * nobody has taken the lock over, or signed out.
   *
   * @returns `false` where `isReplaced` refused.
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`,
   * `backend_locked`.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<boolean> {
    // As a text: Vault would turn its numbers into floating-point ones.
    const row = { key, text: JSON.stringify(entry) };
    const agrees = isReplaced && ((present: Row) => isReplaced(entryIn(present)));
    return await this.#secrets.replace(await hashOf(key), row, agrees, WRITE);
  }

  /**
   * Removes the entry under `key`, whoever holds its lock, and destroys its older versions.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    await this.#remove(await hashOf(key), key);
  }

  /**
   * The keys of all entries. Reads each entry, since its name is a hash of its key.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    for (const name of await this.#names(LIST)) {
      const row = await this.#secrets.row(name, "", LIST);
      if (row.text !== "") yield row.key;
    }
  }

  /**
   * Removes all entries of the path, without reading them. Other secrets stay.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async deleteAll(): Promise<void> {
    for (const name of await this.#names(DELETE)) await this.#remove(name, "");
  }

  /**
   * Runs `fn` while no other holder of the same key's lock runs, on any host. The lock is a field
   * of the entry's secret, which its holder renews every 2 seconds. If the secret does not change for 23
   * seconds, by the waiter's own clock, a waiter takes it over.
   *
   * @throws {CredentialsBackendError} `backend_locked` after `lockTimeoutMs`; the signal's reason when it
   * ends the wait; as {@linkcode get}.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await this.#secrets.run(await hashOf(key), key, fn, options);
  }

  /** The host, the variables that are read, and the files of the login and the certificates. */
  requiredPermissions(): BackendPermission[] {
    return vaultPermissions(this.#options);
  }

  /** Forgets the token and closes the connections. A later use logs in again. */
  async close(): Promise<void> {
    this.#location = undefined;
    (await this.#session.forget()?.catch(() => undefined))?.close();
  }

  /** The secret as the answering node knows it. */
  async #read(name: string, key: string, use: SecretUse): Promise<Row> {
    // A secret that was only marked as deleted is a 404 with a body, and its versions count on.
    const isKnown = (answer: VaultAnswer) =>
      answer.status === 200 || isAbsent(answer) || versionOf(answer) > 0;
    const answer = await this.#ask(use, "GET", this.#path("data", name), isKnown);
    const version = versionOf(answer);
    const none = { version, key, text: "", holder: "" };
    if (answer.status !== 200) return none;
    const row = rowIn(version, objectIn(answer.data.data));
    if (row && (row.text === "" || await hashOf(row.key) === name)) return row;
    return { ...none, isForeign: true };
  }

  async #write(
    name: string,
    { key, text, holder }: Fields,
    version: number | undefined,
    use: SecretUse,
  ): Promise<Row | undefined> {
    const body = { options: { cas: version }, data: { key, entry: text, holder } };
    // Also where the engine demands a check-and-set of everybody.
    const isRefused = ({ status, body }: VaultAnswer) =>
      status === 400 && /check-and-set/.test(String((body.errors as unknown[] | undefined)?.[0]));
    const isKnown = (answer: VaultAnswer) => isRefused(answer) || Number(answer.data.version) > 0;
    // Before the first version: a fault in between would leave each older one readable.
    if (version === 0) await this.#keepOneVersion(name, use);
    const answer = await this.#ask(use, "POST", this.#path("data", name), isKnown, body);
    if (isRefused(answer)) return undefined;
    return { version: Number(answer.data.version), key, text, holder };
  }

  async #keepOneVersion(name: string, use: SecretUse) {
    await this.#ask(use, "POST", this.#path("metadata", name), isDone, { max_versions: 1 });
  }

  /**
   * Empties a secret, and destroys its older versions: an engine may keep more than the secret asks for.
   * It limits them last: the tokens go also where that is refused. A DELETE proves nothing, since a node
   * that does not know the secret yet answers that it is gone. And it would let the versions start anew, so
   * that a late read could not be told from a sign-in.
   */
  async #remove(name: string, key: string) {
    const version = await this.#secrets.empty(name, key, DELETE);
    const length = Math.min(version - 1, MOST_VERSIONS);
    const versions = Array.from({ length }, (_, index) => version - 1 - index);
    if (length > 0) {
      await this.#ask(DELETE, "POST", this.#path("destroy", name), isDone, { versions });
    }
    await this.#keepOneVersion(name, DELETE);
  }

  async #names(use: SecretUse) {
    const isKnown = (answer: VaultAnswer) => isAbsent(answer) || Array.isArray(answer.data.keys);
    // As a parameter: a proxy may not know the method LIST.
    const { data } = await this.#ask(use, "GET", this.#path("metadata", "?list=true"), isKnown);
    const names = ((data.keys ?? []) as unknown[]).map(String);
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name)); // not another program's secrets
  }

  #path(part: "data" | "metadata" | "destroy", name: string) {
    const { mount = "secret", path } = this.#options;
    return `${encodePath(mount)}/${part}/${encodePath(path)}/${name}`;
  }

  async #ask(
    use: SecretUse,
    method: VaultRequest["method"],
    path: string,
    isKnown: (answer: VaultAnswer) => boolean,
    body?: object,
  ) {
    const session = await this.#session.get(() => openVault(this.#options, this.#timer));
    return await session.ask({ ...use, method, path, body }, isKnown);
  }
}

function isDone({ status }: VaultAnswer) {
  return status < 300;
}

/** Whether a 404 is Vault's own for an absent secret: neither for a mount, nor of a proxy. */
function isAbsent({ status, body }: VaultAnswer) {
  return status === 404 && Array.isArray(body.errors) && body.errors.length === 0;
}

function versionOf({ data }: VaultAnswer) {
  return Number(objectIn(data.metadata).version ?? 0);
}

/** The parts of a secret; `undefined` for one of another program. */
function rowIn(version: number, data: Record<string, unknown>): Row | undefined {
  const { key, entry: text, holder = "" } = data;
  if (typeof key !== "string" || typeof text !== "string") return undefined;
  if (text !== "" && !parseObject(text)) return undefined;
  return { version, key, text, holder: String(holder) };
}

function entryIn({ text }: Row) {
  return parseObject(text) as OidcCredentials | undefined;
}
