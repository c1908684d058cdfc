/**
 * The backend that keeps credentials in HashiCorp Vault or OpenBao, for people whose tokens may not
 * lie on the host that they work on: {@linkcode VaultCredentialsBackend}. Its options say where Vault
 * is, and how to log in: with a token, an AppRole, or the platform's own token.
 *
 * A platform team chooses it by variables, and the people write no code:
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
 * @module
 */

import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";
import { assertRuntime } from "./common/platform.ts";
import { PROVES } from "./common/describe_backend.ts";
import { Once } from "./common/promises.ts";
import {
  checkVaultOptions,
  describeVault,
  type VaultCredentialsBackendOptions,
  vaultPermissions,
} from "./vault/options.ts";
import type { VaultStore } from "./vault/store.ts";

export type {
  VaultAppRoleAuth,
  VaultAuth,
  VaultCredentialsBackendOptions,
  VaultJwtAuth,
  VaultTokenAuth,
} from "./vault/options.ts";

/** Loaded at the first use of the store. */
const loadStore = () => import("./vault/store.ts");

/**
 * Keeps credentials in a KV secrets engine of [HashiCorp Vault](https://developer.hashicorp.com/vault)
 * or [OpenBao](https://openbao.org), of version 2, shared by all hosts that reach it. The backend logs
 * in at the first use, and again when its token ends.
 *
 * **Place of an entry.** `<mount>/<path>/<SHA-256 of the key, in hexadecimal>`, with the fields
 * `key` and `entry`, a JSON text. `printf %s 'https://login.example.com|my-app' | sha256sum` gives the
 * name. Beside it, `<name>.lock` names the holder of its lock. It holds no secret, and stays.
 *
 * **Versions.** Every write depends on the version that it replaces, `max_versions` of each entry is 1,
 * and `delete` removes the metadata with all versions: nothing is left to undelete. An engine of version
 * 1 cannot compare, and is refused: `vault kv enable-versioning secret/` turns it into one of version 2.
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
 * Vault's policy `default`, which tokens have unless they are made without it, allows the two
 * requests for the token itself, `auth/token/lookup-self` and `auth/token/renew-self`. A token without
 * it works, but is not renewed before it ends.
 *
 * **Trouble.** While Vault is sealed, changes its active node, limits requests or does not answer, a
 * request is repeated up to `timeoutMs`; then it is an error and never "not signed in". `http:` is for
 * loopback only, and certificates are always checked.
 *
 * Needs `--allow-net` for the server's host; `--allow-env` for `VAULT_ADDR`,
 * `VAULT_NAMESPACE` and `VAULT_CACERT` unless `address` is given, and for `VAULT_TOKEN` unless `auth` says
 * otherwise;
 * `--allow-read` of the files that are named. For a token file `true` also `--allow-env=HOME`.
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
  /** The write of the lease proves it. */
  readonly [PROVES] = true;
  readonly #options: VaultCredentialsBackendOptions;
  #location: string | undefined;
  readonly #store = new Once<VaultStore>();

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
   * `invalid_options` (of a variable, or a mount that is none).
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return await (await this.#open()).get(key);
  }

  /**
   * Stores `entry` under `key`. Under the key's lock, a write without `isReplaced` takes place only if
   * nobody has taken the lock over.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`,
   * `backend_locked`.
   */
  async put(key: string, entry: OidcCredentials, options?: PutOptions): Promise<void> {
    await (await this.#open()).put(key, entry, options);
  }

  /**
   * Removes the entry under `key` with its metadata and all versions, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    await (await this.#open()).delete(key);
  }

  /**
   * The keys of all entries. Reads each entry, since its name is a hash of its key.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    yield* (await this.#open()).list();
  }

  /**
   * Removes all entries and locks of the path, without reading them. Other secrets stay.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async deleteAll(): Promise<void> {
    await (await this.#open()).deleteAll();
  }

  /**
   * Runs `fn` while no other holder of the same key's lock runs, on any host. The lock is a lease that
   * its holder writes anew every 2 seconds. A waiter takes it over when it does not change for 23
   * seconds by the waiter's own clock.
   *
   * @throws {CredentialsBackendError} `backend_locked` after `lockTimeoutMs`; the signal's reason when it
   * ends the wait; as {@linkcode get}.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await (await this.#open()).withLock(key, fn, options);
  }

  /** The host, the variables that are read, and the files of the login and the certificates. */
  requiredPermissions(): BackendPermission[] {
    return vaultPermissions(this.#options);
  }

  /** Forgets the token and closes the connections. A later use logs in again. */
  async close(): Promise<void> {
    this.#location = undefined;
    (await this.#store.forget()?.catch(() => undefined))?.close();
  }

  #open(): Promise<VaultStore> {
    return this.#store.get(async () => (await loadStore()).VaultStore.open(this.#options));
  }
}
