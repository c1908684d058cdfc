import type { CredentialsBackendError } from "../credentials_backend_error.ts";
import { encodePath, unexpected, type VaultAnswer, vaultError } from "./error.ts";
import type { VaultSession } from "./session.ts";

export interface VaultSecret {
  /** `undefined` where there is none. */
  readonly data: Record<string, unknown> | undefined;
  /** The version that a write has to replace; 0 where nothing was ever written. */
  readonly version: number;
}

export interface VaultUse {
  /** As in "Cannot {action} Vault …". */
  readonly action: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** One folder of a KV secrets engine, of either version. */
export interface VaultKv {
  /** Whether a write can depend on a version. */
  readonly hasCheckAndSet: boolean;
  read(name: string, use: VaultUse): Promise<VaultSecret>;
  /** The secret's new version, or `undefined` when `version` was not the latest any more. */
  write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<number | undefined>;
  /** Sets that Vault keeps one version of a secret. `version` is its latest. */
  forgetVersions(name: string, version: number, use: VaultUse): Promise<void>;
  /** Removes a secret with all its versions. */
  remove(name: string, use: VaultUse): Promise<void>;
  list(use: VaultUse): Promise<string[]>;
}

/**
 * Finds the version of the engine at a mount, by the request that `vault kv` itself makes. Every token
 * may make it for a mount that it has any right to.
 *
 * @throws {CredentialsBackendError} `backend_denied`, `invalid_options`, and as the session's.
 */
export async function openVaultKv(
  session: VaultSession,
  mount: string,
  path: string,
): Promise<VaultKv> {
  const action = "use";
  const answer = await session.request({
    action,
    method: "GET",
    path: `sys/internal/ui/mounts/${encodePath(mount)}`,
  });
  if (answer.status !== 200) throw unexpected(action, session.place, answer);
  const { data } = answer.body as { data?: { type?: unknown; path?: unknown; options?: unknown } };
  if (!["kv", "generic"].includes(String(data?.type)) || data?.path !== `${mount}/`) {
    throw vaultError(
      "invalid_options",
      action,
      session.place,
      `"${mount}" is no mount of a KV secrets engine`,
      `Give the mount alone in the option "mount", and what comes after it in "path".`,
    );
  }
  const { version } = (data?.options ?? {}) as { version?: unknown };
  return version === "2"
    ? new KvVersion2(session, encodePath(mount), encodePath(path))
    : new KvVersion1(session, `${encodePath(mount)}/${encodePath(path)}`);
}

/** A folder of KV version 1. It keeps one version of a secret and cannot compare before a write. */
class KvVersion1 implements VaultKv {
  readonly hasCheckAndSet = false;
  readonly #session: VaultSession;
  readonly #folder: string;

  /** @param folder Mount and path, encoded. */
  constructor(session: VaultSession, folder: string) {
    this.#session = session;
    this.#folder = folder;
  }

  async read(name: string, use: VaultUse): Promise<VaultSecret> {
    const path = `${this.#folder}/${name}`;
    const answer = await this.#session.request({ ...use, method: "GET", path });
    if (isAbsent(answer)) return { data: undefined, version: 0 };
    if (answer.status !== 200) throw unexpected(use.action, this.#session.place, answer);
    return { data: (answer.body.data ?? {}) as Record<string, unknown>, version: 0 };
  }

  async write(
    name: string,
    data: Record<string, unknown>,
    _version: number,
    use: VaultUse,
  ): Promise<number> {
    const path = `${this.#folder}/${name}`;
    const answer = await this.#session.request({ ...use, method: "POST", path, body: data });
    if (answer.status < 300) return 0;
    throw unexpected(use.action, this.#session.place, answer);
  }

  /** There are none. */
  forgetVersions(): Promise<void> {
    return Promise.resolve();
  }

  remove(name: string, use: VaultUse): Promise<void> {
    return remove(this.#session, `${this.#folder}/${name}`, use);
  }

  list(use: VaultUse): Promise<string[]> {
    return list(this.#session, this.#folder, use);
  }
}

/** A folder of KV version 2. It counts versions, and a write depends on the one that was read. */
class KvVersion2 implements VaultKv {
  readonly hasCheckAndSet = true;
  readonly #session: VaultSession;
  readonly #mount: string;
  readonly #path: string;
  /**
   * The secrets of which Vault keeps one version, as far as this process knows, with the latest version
   * that was to be written.
   */
  readonly #limited = new Map<string, number>();

  /** Both encoded. */
  constructor(session: VaultSession, mount: string, path: string) {
    this.#session = session;
    this.#mount = mount;
    this.#path = path;
  }

  async read(name: string, use: VaultUse): Promise<VaultSecret> {
    const answer = await this.#session.request({ ...use, method: "GET", path: this.#data(name) });
    const { data } = answer.body as { data?: { data?: unknown; metadata?: { version?: unknown } } };
    const version = Number(data?.metadata?.version ?? 0);
    // A secret that was only marked as deleted is a 404 with a body, and its versions count on.
    if (answer.status === 404 && (version > 0 || isAbsent(answer))) {
      return { data: undefined, version };
    }
    if (answer.status !== 200 || !Number.isSafeInteger(version)) {
      throw this.#unexpected(use, answer);
    }
    return { data: (data?.data ?? {}) as Record<string, unknown>, version };
  }

  async write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<number | undefined> {
    const body = { options: { cas: version }, data };
    const answer = await this.#session.request({
      ...use,
      method: "POST",
      path: this.#data(name),
      body,
    });
    const written = answer.body as { data?: { version?: unknown }; errors?: unknown[] };
    if (answer.status === 200 && typeof written.data?.version === "number") {
      return written.data.version;
    }
    const isConflict = answer.status === 400 && /check-and-set/.test(String(written.errors?.[0]));
    if (isConflict) return undefined;
    throw this.#unexpected(use, answer);
  }

  async forgetVersions(name: string, version: number, use: VaultUse): Promise<void> {
    // A lower version belongs to a secret that somebody removed and perhaps made anew.
    if (version < (this.#limited.get(name) ?? Infinity)) {
      const answer = await this.#session.request({
        ...use,
        method: "POST",
        path: this.#metadata(name),
        body: { max_versions: 1 },
      });
      if (answer.status >= 300) throw this.#unexpected(use, answer);
    }
    // A secret that was never written may be removed with this setting: the next write sets it again.
    if (version === 0) this.#limited.delete(name);
    else this.#limited.set(name, version + 1);
  }

  async remove(name: string, use: VaultUse): Promise<void> {
    this.#limited.delete(name);
    await remove(this.#session, this.#metadata(name), use);
  }

  list(use: VaultUse): Promise<string[]> {
    return list(this.#session, `${this.#mount}/metadata/${this.#path}`, use);
  }

  #data(name: string): string {
    return `${this.#mount}/data/${this.#path}/${name}`;
  }

  #metadata(name: string): string {
    return `${this.#mount}/metadata/${this.#path}/${name}`;
  }

  #unexpected(use: VaultUse, answer: VaultAnswer): CredentialsBackendError {
    return unexpected(use.action, this.#session.place, answer);
  }
}

async function remove(session: VaultSession, path: string, use: VaultUse): Promise<void> {
  const answer = await session.request({ ...use, method: "DELETE", path });
  if (answer.status < 300 || isAbsent(answer)) return;
  throw unexpected(use.action, session.place, answer);
}

async function list(session: VaultSession, folder: string, use: VaultUse): Promise<string[]> {
  // As a parameter: a proxy may not know the method LIST.
  const path = `${folder}/?list=true`;
  const answer = await session.request({ ...use, method: "GET", path });
  if (isAbsent(answer)) return [];
  const { data } = answer.body as { data?: { keys?: unknown } };
  if (answer.status === 200 && Array.isArray(data?.keys)) return data.keys.map(String);
  throw unexpected(use.action, session.place, answer);
}

/** Whether a 404 is Vault's own for an absent secret: neither for a mount, nor of a proxy. */
function isAbsent({ status, body }: VaultAnswer): boolean {
  return status === 404 && Array.isArray(body.errors) && body.errors.length === 0;
}

/**
 * The name of a credential key's secret: the SHA-256 of the key, in hexadecimal.
 *
 * A key may be long, and holds `|`, `/`, `:` and any character of a provider's choice, while each storage
 * of Vault takes other names. The key itself is in the secret.
 */
export async function secretName(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return new Uint8Array(digest).toHex();
}

/** Whether a name in a folder belongs to an entry: not to a lock, nor to another program's secret. */
export function isSecretName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

export function lockName(name: string): string {
  return `${name}.lock`;
}

/** Whether a name in a folder belongs to a lock. */
export function isLockName(name: string): boolean {
  return name.endsWith(".lock") && isSecretName(name.slice(0, -".lock".length));
}
