import type { CredentialsBackendError } from "../credentials_backend_error.ts";
import { delay } from "../common/delay.ts";
import { parseObject } from "../common/parse_object.ts";
import type { OidcCredentials, WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  isLockName,
  isSecretName,
  openVaultKv,
  secretName,
  type VaultKv,
  type VaultSecret,
  type VaultUse,
} from "./engine.ts";
import { readVaultFile, VaultLogin, VaultSession } from "./session.ts";
import { VaultClient, type VaultRuntime } from "./client.ts";
import { vaultConnection, vaultFolder } from "./connection.ts";
import { vaultError } from "./error.ts";
import { VaultLock } from "./lock.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";

const TIMEOUT_MS = 15_000;
const LOCK_TIMEOUT_MS = 30_000;
/** Of how many secrets something is remembered; a process has one or two. */
const MAX_KNOWN = 100;

/** An open store: loaded only when it is used. */
export class VaultStore {
  readonly #session: VaultSession;
  readonly #kv: VaultKv;
  readonly #lock: VaultLock;
  readonly #runtime: VaultRuntime;
  readonly #timeoutMs: number;
  /** Mount and path. */
  readonly #folder: string;
  /** The store in words. */
  readonly #place: string;
  /** What secrets are called, by key: to work it out takes a third of a request to this host. */
  readonly #names = new Map<string, string>();
  /** The version of each secret that was seen last. */
  readonly #versions = new Map<string, number>();

  private constructor(
    session: VaultSession,
    kv: VaultKv,
    runtime: VaultRuntime,
    options: VaultCredentialsBackendOptions,
  ) {
    const { timeoutMs = TIMEOUT_MS, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    this.#session = session;
    this.#kv = kv;
    this.#runtime = runtime;
    this.#timeoutMs = timeoutMs;
    this.#folder = vaultFolder(options);
    this.#place = `${session.place} (${this.#folder})`;
    const onTakeOver = (name: string) => this.#touch(name);
    this.#lock = new VaultLock({ kv, place: this.#place, runtime, lockTimeoutMs, onTakeOver });
  }

  /** Logs in, and finds out which version of the engine is at the mount. */
  static async open(
    options: VaultCredentialsBackendOptions,
    runtime: VaultRuntime = systemRuntime(options),
  ): Promise<VaultStore> {
    const connection = vaultConnection(options);
    const { caCert, address } = connection;
    const pem = caCert === undefined
      ? undefined
      : readVaultFile(caCert, "use", `Vault at ${address.host}`);
    const client = new VaultClient(connection, pem, runtime, options.timeoutMs ?? TIMEOUT_MS);
    const session = new VaultSession(client, new VaultLogin(client, options), runtime.now);
    try {
      const kv = await openVaultKv(session, options.mount ?? "secret", options.path);
      return new VaultStore(session, kv, runtime, options);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** The entry, or `undefined`. */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const name = await this.#nameOf(key);
    const { data } = await this.#read(name, { action: "read credentials in" });
    if (data === undefined) return undefined;
    const row = parseRow(data);
    // As UTF-8 has it, and with it the secret's name: Vault gives back no half of a surrogate pair.
    if (row?.key === key.toWellFormed()) return row.entry;
    throw this.#corrupt(name);
  }

  /** Writes the entry, if a lock that is held is still held. */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    // As a text: Vault would read and write its numbers as floating-point ones.
    const data = { key, entry: JSON.stringify(entry) };
    const name = await this.#nameOf(key);
    const use = { action: "write credentials to" };
    const write = async (version: number) => {
      // After the version was seen: once another holder has taken over, it is not the latest.
      await this.#lock.check(name, use.action);
      await this.#kv.forgetVersions(name, version, use);
      return await this.#write(name, data, version, use);
    };
    await this.#change(use.action, async () => {
      const known = this.#versions.get(name);
      // That a version which was seen long ago is not the latest says nothing of others who write now.
      if (known !== undefined && await write(known)) return true;
      return await write((await this.#read(name, use)).version);
    });
  }

  /** Removes the entry with all that Vault knows of it, if a lock that is held is still held. */
  async delete(key: string): Promise<void> {
    const name = await this.#nameOf(key);
    const use = { action: "delete credentials in" };
    await this.#lock.check(name, use.action);
    this.#versions.delete(name);
    await this.#kv.remove(name, use);
  }

  /** The keys of all entries. */
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

  /** Removes all entries and locks, without a look into them. */
  async deleteAll(): Promise<void> {
    const use = { action: "delete credentials in" };
    this.#versions.clear();
    for (const name of await this.#kv.list(use)) {
      if (isSecretName(name) || isLockName(name)) await this.#kv.remove(name, use);
    }
  }

  /** Runs `fn` under the key's lock. */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const name = await this.#nameOf(key);
    const run = () => {
      this.#versions.delete(name); // what counts is what is seen under the lock
      return fn();
    };
    return await this.#lock.run(name, run, options);
  }

  /** Forgets the token and closes the connections. */
  close(): void {
    this.#session.close();
  }

  /** Writes what is there anew, so that a write which depends on the version before fails. */
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

  /** Whether the secret was written: not where `version` is not its latest any more. */
  async #write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<boolean> {
    this.#versions.delete(name); // also where no answer tells what became of it
    const written = await this.#kv.write(name, data, version, use);
    if (written === undefined) return false;
    this.#see(name, written);
    return true;
  }

  #see(name: string, version: number): void {
    if (this.#versions.size >= MAX_KNOWN) this.#versions.clear();
    this.#versions.set(name, version);
  }

  /** Tries a change again while others write the same entry. */
  async #change(action: string, attempt: () => Promise<boolean>): Promise<void> {
    const { now, delay } = this.#runtime;
    const deadline = now() + this.#timeoutMs;
    while (!await attempt()) {
      if (now() >= deadline) {
        const reason = "others keep writing the same entry";
        throw vaultError("backend_locked", action, this.#place, reason, "Try again.");
      }
      await delay(5 + 45 * Math.random());
    }
  }

  #corrupt(name: string): CredentialsBackendError {
    return vaultError(
      "backend_corrupt",
      "read credentials in",
      this.#session.place,
      `the secret ${this.#folder}/${name} is not one that this module has written`,
      "Nothing was changed. Remove it with clearOidcCredentials() or with vault kv metadata delete.",
    );
  }
}

/** What a secret of this module holds; `undefined` where it is none. */
function parseRow(
  data: Record<string, unknown>,
): { key: string; entry: OidcCredentials } | undefined {
  const { key } = data;
  const entry = typeof data.entry === "string" ? parseObject(data.entry) : undefined;
  return entry === undefined || typeof key !== "string"
    ? undefined
    : { key, entry: entry as OidcCredentials };
}

/** A clock that does not jump: leases and the life of tokens are measured by it. */
function systemRuntime(options: VaultCredentialsBackendOptions): VaultRuntime {
  return { fetch: options.fetch ?? fetch, now: () => performance.now(), delay };
}
