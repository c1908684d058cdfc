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
import { parseObject } from "./common/json.ts";
import {
  Leases,
  type LeaseStore,
  type LeaseUse,
  LOCK_TIMEOUT_MS,
  SYSTEM_TIMER,
} from "./common/lease.ts";
import { PROVES } from "./common/marks.ts";
import { Once, type Timer } from "./common/promises.ts";
import { assertRuntime } from "./common/runtime.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
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
import { openVault, type VaultSession } from "./vault/session.ts";
import { SIGN_OUT } from "./common/sign_out_words.ts";

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

interface VaultSecret {
  /** `undefined` where there is none. */
  readonly data: Record<string, unknown> | undefined;
  /** The version that a write has to replace; 0 where nothing was ever written. */
  readonly version: number;
}

interface VaultRow {
  readonly key: string;
  readonly entry: OidcCredentials;
}

/**
 * Keeps credentials in a KV secrets engine of version 2, in
 * [HashiCorp Vault](https://developer.hashicorp.com/vault) or [OpenBao](https://openbao.org). All
 * hosts that reach it can share them. The backend logs in at the first use, and again when its token
 * ends.
 *
 * **Place of an entry.** `<mount>/<path>/<SHA-256 of the key, in hexadecimal>`, with the fields `key`
 * and `entry`, a JSON text. `printf %s 'https://login.example.com|my-app' | sha256sum` gives the
 * name. Beside it, `<name>.lock` names the holder of its lock. That secret stays, and has no token in
 * it.
 *
 * **Versions.** Every write depends on the version that it replaces. `max_versions` is 1 for each
 * entry, and `delete` removes the metadata with all versions: nothing can be undeleted. An engine of
 * version 1 cannot compare, and is refused. `vault kv enable-versioning secret/` makes it one of
 * version 2.
 *
 * **Policy.** The narrowest policy for an engine at `secret` and the path `users/<name>`, where
 * `<name>` is, for instance, `{{identity.entity.aliases.<accessor of the auth method>.name}}`:
 *
 * ```hcl
 * path "secret/data/users/<name>/*" {
 *   capabilities = ["create", "read", "update"]
 * }
 * path "secret/metadata/users/<name>/*" {
 *   capabilities = ["create", "update", "delete", "list"]
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
   * The write of the lease proves it.
   *
   * @ignore
   */
  readonly [PROVES] = true;
  readonly #options: VaultCredentialsBackendOptions;
  readonly #timer: Timer;
  readonly #data: string;
  readonly #metadata: string;
  readonly #leases: Leases;
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
    checkVaultOptions("create VaultCredentialsBackend", options);
    // A copy: a later change by the caller must not lead to an unchecked place.
    const { fetch, ...rest } = options;
    this.#options = { ...structuredClone(rest), ...(fetch && { fetch }) };
    const { mount = "secret", path, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    const timer = (options as { [TIMER]?: Timer })[TIMER] ?? SYSTEM_TIMER;
    this.#timer = timer;
    this.#data = `${encodePath(mount)}/data/${encodePath(path)}`;
    this.#metadata = `${encodePath(mount)}/metadata/${encodePath(path)}`;
    const place = () => this.location;
    this.#leases = new Leases({ store: this.#leaseStore(), place, timer, lockTimeoutMs });
  }

  /** The server, the namespace, the mount and the path. */
  get location(): string {
    // Kept: a session may give up the permission to read the variables.
    return this.#location ??= describeVault(this.#options);
  }

  /**
   * The entry under `key`, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `backend_unavailable`, `backend_timeout`,
   * `backend_auth_failed`, `backend_denied`, `backend_corrupt`, `permission_required`,
   * `invalid_options` (of a variable, or of a mount that is not a KV engine of version 2).
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#row(await hashOf(key), READ))?.entry;
  }

  /**
   * Stores `entry` under `key`. Under the key's lock, a write without `isReplaced` takes place only if
   * nobody has taken the lock over.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`,
   * `backend_locked`.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    options: PutOptions = {},
  ): Promise<boolean> {
    const { isReplaced } = options;
    const name = await hashOf(key);
    // As a text: Vault would turn its numbers into floating-point ones.
    const row = { key, entry: JSON.stringify(entry) };
    for (;;) {
      const { data, version } = await this.#read(name, WRITE);
      if (isReplaced?.(data && parseRow(data)?.entry) === false) return false;
      // After the look at the version: a change by a later holder makes that version an old one.
      if (isReplaced === undefined) await this.#leases.assertHeld(name, WRITE.action);
      await this.#ask(WRITE, "POST", `${this.#metadata}/${name}`, isDone, { max_versions: 1 });
      if (await this.#write(name, row, version, WRITE) !== undefined) return true;
      await this.#timer.delay(5 + 45 * Math.random());
    }
  }

  /**
   * Removes the entry under `key` with its metadata and all versions, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    const name = await hashOf(key);
    await this.#leases.assertHeld(name, DELETE.action);
    await this.#remove(name);
  }

  /**
   * The keys of all entries. Reads each entry, since its name is a hash of its key.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    for (const name of (await this.#names(LIST)).filter(isSecretName)) {
      const row = await this.#row(name, LIST);
      if (row !== undefined) yield row.key;
    }
  }

  /**
   * Removes all entries and locks of the path, without reading them. Other secrets stay.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async deleteAll(): Promise<void> {
    for (const name of await this.#names(DELETE)) {
      if (isSecretName(name.replace(/\.lock$/, ""))) await this.#remove(name);
    }
  }

  /**
   * Runs `fn` while no other holder of the same key's lock runs, on any host. The lock is a lease
   * that its holder renews every 2 seconds. If the lease does not change for 23 seconds, by the
   * waiter's own clock, a waiter takes it over.
   *
   * @throws {CredentialsBackendError} `backend_locked` after `lockTimeoutMs`; the signal's reason when it
   * ends the wait; as {@linkcode get}.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await this.#leases.run(await hashOf(key), fn, options);
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

  /**
   * A free lease stays as a secret with an empty holder: without it the versions would start anew, and a
   * holder that stood still could match a later one.
   */
  #leaseStore(): LeaseStore {
    return {
      read: async (name, use) => {
        const { data, version } = await this.#read(`${name}.lock`, use);
        return { holder: typeof data?.holder === "string" ? data.holder : "", version };
      },
      write: (name, holder, row, use) =>
        this.#write(`${name}.lock`, { holder }, row.version as number, use),
    };
  }

  /** The key and the entry of a secret; `undefined` where there is none. Any other content is refused. */
  async #row(name: string, use: LeaseUse): Promise<VaultRow | undefined> {
    const { data } = await this.#read(name, use);
    const row = data && parseRow(data);
    if (data === undefined || (row !== undefined && await hashOf(row.key) === name)) return row;
    throw new CredentialsBackendError("backend_corrupt", {
      action: `${use.action} ${this.location}`,
      reason: `the secret ${name} there was not written by this module`,
      remedy: `Nothing was changed. Remove it with ${SIGN_OUT} or with vault kv metadata delete.`,
    });
  }

  async #read(name: string, use: LeaseUse): Promise<VaultSecret> {
    // A secret that was only marked as deleted is a 404 with a body, and its versions count on.
    const isKnown = (answer: VaultAnswer) =>
      answer.status === 200 || isAbsent(answer) || versionOf(answer) > 0;
    const answer = await this.#ask(use, "GET", `${this.#data}/${name}`, isKnown);
    const content = (answer.data.data ?? {}) as Record<string, unknown>;
    return { data: answer.status === 200 ? content : undefined, version: versionOf(answer) };
  }

  /** The secret's new version, or `undefined` when `version` was not the latest any more. */
  async #write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: LeaseUse,
  ): Promise<number | undefined> {
    const body = { options: { cas: version }, data };
    const isConflict = ({ status, body }: VaultAnswer) =>
      status === 400 && /check-and-set/.test(String((body.errors as unknown[] | undefined)?.[0]));
    const isKnown = (answer: VaultAnswer) => isConflict(answer) || Number(answer.data.version) > 0;
    const answer = await this.#ask(use, "POST", `${this.#data}/${name}`, isKnown, body);
    return isConflict(answer) ? undefined : Number(answer.data.version);
  }

  /** Removes a secret with all its versions: a `delete` of its data could be undone. */
  async #remove(name: string): Promise<void> {
    const isGone = (answer: VaultAnswer) => isDone(answer) || isAbsent(answer);
    await this.#ask(DELETE, "DELETE", `${this.#metadata}/${name}`, isGone);
  }

  async #names(use: LeaseUse): Promise<string[]> {
    const isKnown = (answer: VaultAnswer) => isAbsent(answer) || Array.isArray(answer.data.keys);
    // As a parameter: a proxy may not know the method LIST.
    const { data } = await this.#ask(use, "GET", `${this.#metadata}/?list=true`, isKnown);
    return ((data.keys ?? []) as unknown[]).map(String);
  }

  async #ask(
    use: LeaseUse,
    method: VaultRequest["method"],
    path: string,
    isKnown: (answer: VaultAnswer) => boolean,
    body?: object,
  ): Promise<VaultAnswer> {
    const session = await this.#session.get(() => openVault(this.#options, this.#timer));
    return await session.ask({ ...use, method, path, body }, isKnown);
  }
}

function isDone({ status }: VaultAnswer): boolean {
  return status < 300;
}

/** Whether a 404 is Vault's own for an absent secret: neither for a mount, nor of a proxy. */
function isAbsent({ status, body }: VaultAnswer): boolean {
  return status === 404 && Array.isArray(body.errors) && body.errors.length === 0;
}

function versionOf({ data }: VaultAnswer): number {
  return Number((data.metadata as { version?: unknown } | undefined)?.version ?? 0);
}

/** Whether a name belongs to an entry: not to a lock, nor to another program's secret. */
function isSecretName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The key and the entry of a secret; `undefined` for a secret of another program. */
function parseRow({ key, entry: text }: Record<string, unknown>): VaultRow | undefined {
  const entry = typeof text === "string" ? parseObject(text) : undefined;
  if (entry === undefined || typeof key !== "string") return undefined;
  return { key, entry: entry as OidcCredentials };
}
