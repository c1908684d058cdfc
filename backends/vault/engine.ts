import { Once } from "../common/promises.ts";
import { toHex } from "../common/printable.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { encodePath, unexpected, type VaultAnswer, type VaultUse } from "./error.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";
import type { VaultSession } from "./session.ts";

export interface VaultSecret {
  /** `undefined` where there is none. */
  readonly data: Record<string, unknown> | undefined;
  /** The version that a write has to replace; 0 where nothing was ever written. */
  readonly version: number;
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

/** Opens a folder at a mount. */
export async function openVaultKv(
  session: VaultSession,
  { mount = "secret", path, kvVersion }: VaultCredentialsBackendOptions,
): Promise<VaultKv> {
  const kv = (kvVersion ?? await findVersion(session, mount)) === 2
    ? kvVersion2(session, encodePath(mount), encodePath(path))
    : kvVersion1(session, `${encodePath(mount)}/${encodePath(path)}`);
  if (kvVersion === undefined) return kv;
  return proven(kv, async () => {
    if (await findVersion(session, mount) === kvVersion) return;
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot use ${session.place}: option "kvVersion" is not the version of the engine at ` +
        `"${mount}". Correct it, or leave it out.`,
    );
  });
}

/**
 * A folder whose version was named. An engine of another version answers as if nothing were stored, takes
 * tokens at another path, and removes nothing. A secret that is there proves the version; before anything
 * else Vault is asked, once.
 */
function proven(kv: VaultKv, ask: () => Promise<void>): VaultKv {
  const proof = new Once<void>();
  return {
    ...kv,
    async read(name, use) {
      const secret = await kv.read(name, use);
      if (secret.data === undefined) await proof.get(ask);
      else proof.keep(Promise.resolve());
      return secret;
    },
    async write(name, data, version, use) {
      await proof.get(ask);
      return await kv.write(name, data, version, use);
    },
    async forgetVersions(name, version, use) {
      await proof.get(ask);
      await kv.forgetVersions(name, version, use);
    },
    async remove(name, use) {
      await proof.get(ask);
      await kv.remove(name, use);
    },
    async list(use) {
      await proof.get(ask);
      return await kv.list(use);
    },
  };
}

/**
 * The version of the engine at a mount, by the request that `vault kv` itself makes. Every token may
 * make it for a mount that it has any right to.
 */
async function findVersion(session: VaultSession, mount: string): Promise<1 | 2> {
  const action = "use";
  const mountInfo = `sys/internal/ui/mounts/${encodePath(mount)}`;
  const answer = await session.request({ action, method: "GET", path: mountInfo });
  if (answer.status !== 200) throw unexpected(action, session.place, answer);
  const { data } = answer.body as { data?: { type?: unknown; path?: unknown; options?: unknown } };
  if (!["kv", "generic"].includes(String(data?.type)) || data?.path !== `${mount}/`) {
    throw new CredentialsBackendError(
      "invalid_options",
      `Cannot ${action} ${session.place}: "${mount}" is no mount of a KV secrets engine. Give the ` +
        `mount alone in the option "mount", and what comes after it in "path".`,
    );
  }
  const { version } = (data?.options ?? {}) as { version?: unknown };
  return version === "2" ? 2 : 1;
}

/** A folder of KV version 1. It keeps one version of a secret and cannot compare before a write. */
function kvVersion1(session: VaultSession, folder: string): VaultKv {
  return {
    hasCheckAndSet: false,
    async read(name, use) {
      const answer = await session.request({ ...use, method: "GET", path: `${folder}/${name}` });
      if (isAbsent(answer)) return { data: undefined, version: 0 };
      if (answer.status !== 200) throw unexpected(use.action, session.place, answer);
      return { data: (answer.body.data ?? {}) as Record<string, unknown>, version: 0 };
    },
    async write(name, body, _version, use) {
      const path = `${folder}/${name}`;
      const answer = await session.request({ ...use, method: "POST", path, body });
      if (answer.status < 300) return 0;
      throw unexpected(use.action, session.place, answer);
    },
    forgetVersions: () => Promise.resolve(), // there are none
    remove: (name, use) => remove(session, `${folder}/${name}`, use),
    list: (use) => list(session, folder, use),
  };
}

/** A folder of KV version 2. It counts versions, and a write depends on the one that was read. */
function kvVersion2(session: VaultSession, mount: string, path: string): VaultKv {
  const dataFolder = `${mount}/data/${path}`;
  const metadataFolder = `${mount}/metadata/${path}`;
  /** Secrets of which Vault keeps one version, with the latest version that was to be written. */
  const limited = new Map<string, number>();
  return {
    hasCheckAndSet: true,
    async read(name, use) {
      const path = `${dataFolder}/${name}`;
      const answer = await session.request({ ...use, method: "GET", path });
      const { data } = answer.body as {
        data?: { data?: unknown; metadata?: { version?: unknown } };
      };
      const version = Number(data?.metadata?.version ?? 0);
      // A secret that was only marked as deleted is a 404 with a body, and its versions count on.
      if (answer.status === 404 && (version > 0 || isAbsent(answer))) {
        return { data: undefined, version };
      }
      if (answer.status !== 200 || !Number.isSafeInteger(version)) {
        throw unexpected(use.action, session.place, answer);
      }
      return { data: (data?.data ?? {}) as Record<string, unknown>, version };
    },
    async write(name, data, version, use) {
      const path = `${dataFolder}/${name}`;
      const body = { options: { cas: version }, data };
      const answer = await session.request({ ...use, method: "POST", path, body });
      const written = answer.body as { data?: { version?: unknown }; errors?: unknown[] };
      if (answer.status === 200 && typeof written.data?.version === "number") {
        return written.data.version;
      }
      const isConflict = answer.status === 400 && /check-and-set/.test(String(written.errors?.[0]));
      if (isConflict) return undefined;
      throw unexpected(use.action, session.place, answer);
    },
    async forgetVersions(name, version, use) {
      // A lower version belongs to a secret that somebody removed and perhaps made anew.
      if (version < (limited.get(name) ?? Infinity)) {
        const path = `${metadataFolder}/${name}`;
        const body = { max_versions: 1 };
        const answer = await session.request({ ...use, method: "POST", path, body });
        if (answer.status >= 300) throw unexpected(use.action, session.place, answer);
      }
      // A secret that was never written may be removed with this setting: the next write sets it again.
      if (version === 0) limited.delete(name);
      else limited.set(name, version + 1);
    },
    remove(name, use) {
      limited.delete(name);
      return remove(session, `${metadataFolder}/${name}`, use);
    },
    list: (use) => list(session, metadataFolder, use),
  };
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
  return toHex(new Uint8Array(digest));
}

/** Whether a name in a folder belongs to an entry: not to a lock, nor to another program's secret. */
export function isSecretName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

export function lockName(name: string): string {
  return `${name}.lock`;
}

export function isLockName(name: string): boolean {
  return name.endsWith(".lock") && isSecretName(name.slice(0, -".lock".length));
}
