import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { Timer } from "../common/promises.ts";
import { SYSTEM_TIMER } from "../common/lease.ts";
import { parseObject } from "../common/printable.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  isLockName,
  isSecretName,
  openVaultKv,
  secretName,
  type VaultKv,
  type VaultSecret,
} from "./engine.ts";
import { readVaultFile, VaultLogin, VaultSession } from "./session.ts";
import { VaultClient } from "./client.ts";
import { vaultConnection, vaultFolder } from "./connection.ts";
import type { VaultUse } from "./error.ts";
import { type VaultLock, vaultLock } from "./lock.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";

const TIMEOUT_MS = 15_000;
const LOCK_TIMEOUT_MS = 30_000;
/** The most secrets of which names and versions are remembered. A process has one or two. */
const MAX_KNOWN = 100;

export class VaultStore {
  readonly #session: VaultSession;
  readonly #kv: VaultKv;
  readonly #lock: VaultLock;
  readonly #timer: Timer;
  readonly #timeoutMs: number;
  readonly #folder: string;
  /** The store in words. */
  readonly #place: string;
  /** The names of secrets by key: computing one takes a third of a request to this host. */
  readonly #names = new Map<string, string>();
  readonly #versions = new Map<string, number>();
  /** The entry that the latest `get` gave. */
  #latest: { name: string; version: number; entry: OidcCredentials | undefined } | undefined;

  private constructor(
    session: VaultSession,
    kv: VaultKv,
    timer: Timer,
    options: VaultCredentialsBackendOptions,
  ) {
    const { timeoutMs = TIMEOUT_MS, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    this.#session = session;
    this.#kv = kv;
    this.#timer = timer;
    this.#timeoutMs = timeoutMs;
    this.#folder = vaultFolder(options);
    this.#place = `${session.place} (${this.#folder})`;
    const onTakeOver = (name: string) => this.#touch(name);
    this.#lock = vaultLock({ kv, place: this.#place, timer, lockTimeoutMs, onTakeOver });
  }

  /** Logs in, and finds the version of the engine at the mount. */
  static async open(
    options: VaultCredentialsBackendOptions,
    timer: Timer = SYSTEM_TIMER,
  ): Promise<VaultStore> {
    const { timeoutMs = TIMEOUT_MS } = options;
    const connection = vaultConnection(options);
    const { caCert, address } = connection;
    const pem = caCert === undefined
      ? undefined
      : readVaultFile(caCert, "use", `Vault at ${address.host}`);
    const client = new VaultClient(connection, pem, {
      fetch: options.fetch ?? fetch,
      timer,
      timeoutMs,
    });
    const session = new VaultSession(client, new VaultLogin(client, options), timer.now);
    try {
      const kv = await openVaultKv(session, options);
      return new VaultStore(session, kv, timer, options);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const name = await this.#nameOf(key);
    const { data, version } = await this.#read(name, { action: "read credentials in" });
    const row = data && parseRow(data);
    this.#latest = { name, version, entry: row?.entry };
    if (data === undefined) return undefined;
    // In well-formed UTF-8, as in the secret's name: Vault returns no half of a surrogate pair.
    if (row?.key === key.toWellFormed()) return row.entry;
    throw this.#corrupt(name);
  }

  /** Writes the entry, unless another holder took over the key's lock. */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<void> {
    // As a text: Vault would turn its numbers into floating-point ones.
    const data = { key, entry: JSON.stringify(entry) };
    const name = await this.#nameOf(key);
    const use = { action: "write credentials to" };
    const write = async (version: number) => {
      // After the look at the version: a takeover makes that version an old one.
      await this.#lock.check(name, use.action);
      await this.#kv.forgetVersions(name, version, use);
      return await this.#write(name, data, version, use);
    };
    await this.#change(use.action, async () => {
      const known = this.#versions.get(name);
      // A remembered version may be old without another writer being at work now.
      const isSeen = isReplaced === undefined || this.#isSeen(name, known, isReplaced);
      if (known !== undefined && isSeen && await write(known)) return true;
      const { data, version } = await this.#read(name, use);
      return isReplaced?.(data && parseRow(data)?.entry) === false || await write(version);
    });
  }

  /** Whether the entry of a version is known, and the one to replace. */
  #isSeen(
    name: string,
    version: number | undefined,
    isReplaced: NonNullable<PutOptions["isReplaced"]>,
  ): boolean {
    const latest = this.#latest;
    return latest?.name === name && latest.version === version && isReplaced(latest.entry);
  }

  /** Removes the entry with its metadata, unless another holder took over the key's lock. */
  async delete(key: string): Promise<void> {
    const name = await this.#nameOf(key);
    const use = { action: "delete credentials in" };
    await this.#lock.check(name, use.action);
    this.#versions.delete(name);
    await this.#kv.remove(name, use);
  }

  async *list(): AsyncGenerator<string> {
    const use = { action: "list credentials in" };
    for (const name of (await this.#kv.list(use)).filter(isSecretName)) {
      const { data } = await this.#kv.read(name, use);
      if (data === undefined) continue;
      const row = parseRow(data);
      if (row === undefined || await secretName(row.key) !== name) throw this.#corrupt(name);
      yield row.key;
    }
  }

  async deleteAll(): Promise<void> {
    const use = { action: "delete credentials in" };
    this.#versions.clear();
    for (const name of await this.#kv.list(use)) {
      if (isSecretName(name) || isLockName(name)) await this.#kv.remove(name, use);
    }
  }

  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const name = await this.#nameOf(key);
    const run = () => {
      this.#versions.delete(name); // only a version that is seen under the lock counts
      return fn();
    };
    return await this.#lock.run(name, run, options);
  }

  /**
   * Announces a refresh: see {@linkcode vaultLock}. The lock lies beside the entry, so its
   * write also shows that Vault accepts writes there.
   */
  async reserve(key: string): Promise<AsyncDisposable> {
    await this.#lock.announce(await this.#nameOf(key), "write credentials to");
    return { [Symbol.asyncDispose]: () => Promise.resolve() };
  }

  close(): void {
    this.#session.close();
  }

  /** Writes the secret anew, so that a write that depends on its former version fails. */
  async #touch(name: string): Promise<void> {
    if (!this.#kv.hasCheckAndSet) return;
    const use = { action: "lock credentials in" };
    await this.#change(use.action, async () => {
      const { data, version } = await this.#read(name, use);
      return data === undefined || await this.#write(name, data, version, use);
    });
  }

  async #nameOf(key: string): Promise<string> {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = await secretName(key);
    if (this.#names.size >= MAX_KNOWN) this.#names.clear(); // after the wait: others add meanwhile
    this.#names.set(key, name);
    return name;
  }

  async #read(name: string, use: VaultUse): Promise<VaultSecret> {
    const secret = await this.#kv.read(name, use);
    this.#see(name, secret.version);
    return secret;
  }

  /** Whether the secret was written. It is not where `version` is no longer its latest. */
  async #write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<boolean> {
    this.#versions.delete(name); // also where no answer arrives
    const written = await this.#kv.write(name, data, version, use);
    if (written === undefined) return false;
    this.#see(name, written);
    return true;
  }

  #see(name: string, version: number): void {
    if (this.#versions.size >= MAX_KNOWN) this.#versions.clear();
    this.#versions.set(name, version);
  }

  /** Repeats a change while others write the same entry. */
  async #change(action: string, attempt: () => Promise<boolean>): Promise<void> {
    const { now, delay } = this.#timer;
    const deadline = now() + this.#timeoutMs;
    while (!await attempt()) {
      if (now() >= deadline) {
        throw new CredentialsBackendError(
          "backend_locked",
          `Cannot ${action} ${this.#place}: others keep writing the same entry. Try again.`,
        );
      }
      await delay(5 + 45 * Math.random());
    }
  }

  #corrupt(name: string): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_corrupt",
      `Cannot read credentials in ${this.#session.place}: the secret ${this.#folder}/${name} is not ` +
        `one that this module has written. Nothing was changed. Remove it with ` +
        `clearOidcCredentials() or with vault kv metadata delete.`,
    );
  }
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
