import { call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import type { Timer } from "../common/promises.ts";
import {
  type LeaseRow,
  Leases,
  type LeaseStore,
  LOCK_TIMEOUT_MS,
  SYSTEM_TIMER,
} from "../common/lease.ts";
import { parseObject, toHex } from "../common/printable.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import { VaultClient } from "./client.ts";
import { vaultConnection, vaultFolder } from "./connection.ts";
import { VaultFolder } from "./engine.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";
import { readVaultFile, VaultSession } from "./session.ts";

const TIMEOUT_MS = 15_000;
/** Others may write the same entry meanwhile, but hardly each time. */
const TRIES = 50;
const READ = { action: "read credentials in" };
const WRITE = { action: "write credentials to" };
const LIST = { action: "list credentials in" };
const DELETE = { action: "delete credentials in" };

/** Certificates are no secret: others may read them. */
const CERTIFICATES = { what: "a certificate", forbiddenMode: 0o022 };

/** A lease in Vault: a secret beside the entry. */
interface VaultLease extends LeaseRow {
  readonly version: number;
}

export class VaultStore {
  readonly #session: VaultSession;
  readonly #secrets: VaultFolder;
  readonly #leases: Leases<VaultLease>;
  readonly #timer: Timer;
  readonly #path: string;

  private constructor(
    session: VaultSession,
    secrets: VaultFolder,
    timer: Timer,
    options: VaultCredentialsBackendOptions,
  ) {
    const { lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    this.#session = session;
    this.#secrets = secrets;
    this.#timer = timer;
    this.#path = vaultFolder(options);
    const place = `${session.place} (${this.#path})`;
    this.#leases = new Leases({ store: leaseStore(secrets), place, timer, lockTimeoutMs });
  }

  /** Logs in, and finds out whether the mount can be used. */
  static async open(
    options: VaultCredentialsBackendOptions,
    timer: Timer = SYSTEM_TIMER,
  ): Promise<VaultStore> {
    const { timeoutMs = TIMEOUT_MS, fetch: given = fetch } = options;
    const connection = vaultConnection(options);
    const { caCert, address } = connection;
    const pem = caCert === undefined
      ? undefined
      : readVaultFile(caCert, "use", `Vault at ${address.host}`, CERTIFICATES);
    const client = new VaultClient(connection, pem, { fetch: given, timer, timeoutMs });
    const session = new VaultSession(client, options.auth, timer.now);
    try {
      return new VaultStore(session, await VaultFolder.open(session, options), timer, options);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const name = await secretName(key);
    const { data } = await this.#secrets.read(name, READ);
    if (data === undefined) return undefined;
    const row = parseRow(data);
    // In well-formed UTF-8, as in the secret's name: Vault returns no half of a surrogate pair.
    if (row?.key === key.toWellFormed()) return row.entry;
    throw this.#corrupt(name);
  }

  /**
   * Writes the entry. With `isReplaced` the entry that is there decides, and else the lock: it may have
   * been taken over.
   */
  async put(key: string, entry: OidcCredentials, { isReplaced }: PutOptions = {}): Promise<void> {
    const name = await secretName(key);
    // As a text: Vault would turn its numbers into floating-point ones.
    const row = { key, entry: JSON.stringify(entry) };
    for (let tries = 0; tries < TRIES; tries++) {
      const { data, version } = await this.#secrets.read(name, WRITE);
      if (isReplaced?.(data && parseRow(data)?.entry) === false) return;
      // After the look at the version: a change by a later holder makes that version an old one.
      if (isReplaced === undefined) await this.#leases.assertHeld(name, WRITE.action);
      await this.#secrets.keepOneVersion(name, WRITE);
      if (await this.#secrets.write(name, row, version, WRITE) !== undefined) return;
      await this.#timer.delay(5 + 45 * Math.random());
    }
    throw new CredentialsBackendError(
      "backend_locked",
      `Cannot ${WRITE.action} ${this.#session.place} (${this.#path}): others keep writing the same ` +
        `entry. Try again.`,
    );
  }

  /** Removes the entry with its metadata, unless another holder took over the key's lock. */
  async delete(key: string): Promise<void> {
    const name = await secretName(key);
    await this.#leases.assertHeld(name, DELETE.action);
    await this.#secrets.remove(name, DELETE);
  }

  async *list(): AsyncGenerator<string> {
    for (const name of (await this.#secrets.list(LIST)).filter(isSecretName)) {
      const { data } = await this.#secrets.read(name, LIST);
      if (data === undefined) continue;
      const row = parseRow(data);
      if (row === undefined || await secretName(row.key) !== name) throw this.#corrupt(name);
      yield row.key;
    }
  }

  async deleteAll(): Promise<void> {
    for (const name of await this.#secrets.list(DELETE)) {
      if (isSecretName(name.replace(/\.lock$/, ""))) await this.#secrets.remove(name, DELETE);
    }
  }

  /** Runs `fn` under a lease that lies beside the entry: its write shows that Vault accepts writes there. */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return await this.#leases.run(await secretName(key), fn, options);
  }

  close(): void {
    this.#session.close();
  }

  #corrupt(name: string): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_corrupt",
      words`Cannot read credentials in ${this.#session.place}: the secret ${this.#path}/${name} was
        not written by this module. Nothing was changed. Remove it with
        ${call("clearOidcCredentials")} or with vault kv metadata delete.`,
    );
  }
}

/**
 * A free lease stays as a secret with an empty holder: without it the versions would start anew, and a
 * holder that stood still could match a later one.
 */
function leaseStore(secrets: VaultFolder): LeaseStore<VaultLease> {
  const toRow = (holder: string, version: number) => {
    return { holder, version, state: `${holder} ${version}` };
  };
  return {
    async read(name, use) {
      const { data, version } = await secrets.read(`${name}.lock`, use);
      return toRow(typeof data?.holder === "string" ? data.holder : "", version);
    },
    async write(name, holder, row, use) {
      const version = await secrets.write(`${name}.lock`, { holder }, row.version, use);
      return version === undefined ? undefined : toRow(holder, version);
    },
  };
}

/**
 * The name of a credential key's secret: the SHA-256 of the key, in hexadecimal. A key may be long and
 * holds any character, while each storage of Vault takes other names. The key itself is in the secret.
 */
export async function secretName(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return toHex(new Uint8Array(digest));
}

/** Whether a name belongs to an entry: not to a lock, nor to another program's secret. */
function isSecretName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The key and the entry of a secret; `undefined` for a secret of another program. */
function parseRow(
  data: Record<string, unknown>,
): { key: string; entry: OidcCredentials } | undefined {
  const { key } = data;
  const entry = typeof data.entry === "string" ? parseObject(data.entry) : undefined;
  return entry === undefined || typeof key !== "string"
    ? undefined
    : { key, entry: entry as OidcCredentials };
}
