import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { Timer } from "../common/promises.ts";
import {
  Leases,
  type LeaseStore,
  type LeaseUse,
  LOCK_TIMEOUT_MS,
  SYSTEM_TIMER,
} from "../common/lease.ts";
import { parseObject, toHex } from "../common/printable.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import { encodePath, type VaultAnswer, VaultClient, type VaultRequest } from "./client.ts";
import { vaultConnection, type VaultCredentialsBackendOptions, vaultFolder } from "./options.ts";
import { readVaultFile, VaultSession } from "./session.ts";

const TIMEOUT_MS = 15_000;
const READ = { action: "read credentials in" };
const WRITE = { action: "write credentials to" };
const LIST = { action: "list credentials in" };
const DELETE = { action: "delete credentials in" };
/** Certificates are no secret: others may read them. */
const CERTIFICATES = { what: "a certificate", forbiddenMode: 0o022 };

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

/** The entries of one folder of a KV secrets engine of version 2. */
export class VaultStore {
  readonly #session: VaultSession;
  readonly #timer: Timer;
  readonly #folder: string;
  readonly #data: string;
  readonly #metadata: string;
  readonly #leases: Leases;

  private constructor(
    session: VaultSession,
    timer: Timer,
    options: VaultCredentialsBackendOptions,
  ) {
    const { mount = "secret", path, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
    this.#session = session;
    this.#timer = timer;
    this.#folder = vaultFolder(options);
    this.#data = `${encodePath(mount)}/data/${encodePath(path)}`;
    this.#metadata = `${encodePath(mount)}/metadata/${encodePath(path)}`;
    const place = `${session.place} (${this.#folder})`;
    this.#leases = new Leases({ store: this.#leaseStore(), place, timer, lockTimeoutMs });
  }

  /** Logs in, and finds out whether the mount can be used. */
  static async open(
    options: VaultCredentialsBackendOptions,
    timer: Timer = SYSTEM_TIMER,
  ): Promise<VaultStore> {
    const { timeoutMs = TIMEOUT_MS, mount = "secret", fetch: given = fetch } = options;
    const connection = vaultConnection(options);
    const { caCert, address } = connection;
    const pem = caCert === undefined
      ? undefined
      : readVaultFile(caCert, "use", `Vault at ${address.host}`, CERTIFICATES);
    const client = new VaultClient(connection, pem, { fetch: given, timer, timeoutMs });
    const session = new VaultSession(client, options.auth, timer.now);
    try {
      await assertVersion2(session, mount);
      return new VaultStore(session, timer, options);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#row(await secretName(key), READ))?.entry;
  }

  /**
   * Writes the entry. With `isReplaced` the entry that is there decides, and else the lock: it may have
   * been taken over.
   */
  async put(key: string, entry: OidcCredentials, { isReplaced }: PutOptions = {}): Promise<void> {
    const name = await secretName(key);
    // As a text: Vault would turn its numbers into floating-point ones.
    const row = { key, entry: JSON.stringify(entry) };
    for (;;) {
      const { data, version } = await this.#read(name, WRITE);
      if (isReplaced?.(data && parseRow(data)?.entry) === false) return;
      // After the look at the version: a change by a later holder makes that version an old one.
      if (isReplaced === undefined) await this.#leases.assertHeld(name, WRITE.action);
      await this.#ask(WRITE, "POST", `${this.#metadata}/${name}`, isDone, { max_versions: 1 });
      if (await this.#write(name, row, version, WRITE) !== undefined) return;
      await this.#timer.delay(5 + 45 * Math.random());
    }
  }

  /** Removes the entry with its metadata, unless another holder took over the key's lock. */
  async delete(key: string): Promise<void> {
    const name = await secretName(key);
    await this.#leases.assertHeld(name, DELETE.action);
    await this.#remove(name);
  }

  async *list(): AsyncGenerator<string> {
    for (const name of (await this.#names(LIST)).filter(isSecretName)) {
      const row = await this.#row(name, LIST);
      if (row !== undefined) yield row.key;
    }
  }

  async deleteAll(): Promise<void> {
    for (const name of await this.#names(DELETE)) {
      if (isSecretName(name.replace(/\.lock$/, ""))) await this.#remove(name);
    }
  }

  /** Runs `fn` under a lease that lies beside the entry: its write shows that Vault accepts writes there. */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return await this.#leases.run(await secretName(key), fn, options);
  }

  close(): void {
    this.#session.close();
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
    if (data === undefined || (row !== undefined && await secretName(row.key) === name)) return row;
    throw new CredentialsBackendError(
      "backend_corrupt",
      `Cannot ${use.action} ${this.#session.place}: the secret ${this.#folder}/${name} was not ` +
        `written by this module. Nothing was changed. Remove it with clearOidcCredentials() or with ` +
        `vault kv metadata delete.`,
    );
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

  /** The answer, if it is one that is known. */
  async #ask(
    use: LeaseUse,
    method: VaultRequest["method"],
    path: string,
    isKnown: (answer: VaultAnswer) => boolean,
    body?: object,
  ): Promise<VaultAnswer> {
    const answer = await this.#session.request({ ...use, method, path, ...(body && { body }) });
    if (isKnown(answer)) return answer;
    throw unexpected(use.action, this.#session.place, answer);
  }
}

/**
 * Refuses a mount of another engine, or of version 1, which would answer as if nothing were stored. It is
 * the request that `vault kv` makes; every token may make it for a mount that it has any right to.
 */
async function assertVersion2(session: VaultSession, mount: string): Promise<void> {
  const action = "use";
  const path = `sys/internal/ui/mounts/${encodePath(mount)}`;
  const answer = await session.request({ action, method: "GET", path });
  if (answer.status !== 200) throw unexpected(action, session.place, answer);
  const { type, path: root, options } = answer.data;
  const isKv = (type === "kv" || type === "generic") && root === `${mount}/`;
  if (isKv && (options as { version?: unknown } | null)?.version === "2") return;
  const advice = isKv
    ? `It is of version 1. Run: vault kv enable-versioning ${mount}/`
    : `Give the mount alone in the option "mount", and what comes after it in "path".`;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action} ${session.place}: "${mount}" is not the mount of a KV secrets engine of ` +
      `version 2. ${advice}`,
  );
}

/** The error for an answer that is neither a success nor a known refusal. */
function unexpected(action: string, place: string, { status, words }: VaultAnswer) {
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${place}: it answers with status ${status}${words}. Check the address, the ` +
      `mount and the path. Nothing that is stored is lost.`,
  );
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
function parseRow({ key, entry: text }: Record<string, unknown>): VaultRow | undefined {
  const entry = typeof text === "string" ? parseObject(text) : undefined;
  if (entry === undefined || typeof key !== "string") return undefined;
  return { key, entry: entry as OidcCredentials };
}
