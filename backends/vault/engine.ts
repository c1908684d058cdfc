import { CredentialsBackendError } from "../credentials_backend_error.ts";
import {
  encodePath,
  unexpected,
  type VaultAnswer,
  type VaultRequest,
  type VaultUse,
} from "./error.ts";
import type { VaultCredentialsBackendOptions } from "./options.ts";
import type { VaultSession } from "./session.ts";

export interface VaultSecret {
  /** `undefined` where there is none. */
  readonly data: Record<string, unknown> | undefined;
  /** The version that a write has to replace; 0 where nothing was ever written. */
  readonly version: number;
}

/** One folder of a KV secrets engine of version 2. A write depends on the version that was read. */
export class VaultFolder {
  readonly #session: VaultSession;
  readonly #data: string;
  readonly #metadata: string;

  private constructor(session: VaultSession, mount: string, path: string) {
    this.#session = session;
    this.#data = `${encodePath(mount)}/data/${encodePath(path)}`;
    this.#metadata = `${encodePath(mount)}/metadata/${encodePath(path)}`;
  }

  /** Opens a folder at a mount that is such an engine. */
  static async open(
    session: VaultSession,
    { mount = "secret", path }: VaultCredentialsBackendOptions,
  ): Promise<VaultFolder> {
    await assertVersion2(session, mount);
    return new VaultFolder(session, mount, path);
  }

  async read(name: string, use: VaultUse): Promise<VaultSecret> {
    const answer = await this.#ask(use, "GET", `${this.#data}/${name}`);
    const { data } = answer.body as {
      data?: { data?: unknown; metadata?: { version?: unknown } };
    };
    const version = Number(data?.metadata?.version ?? 0);
    if (answer.status === 200) return { data: (data?.data ?? {}) as VaultSecret["data"], version };
    // A secret that was only marked as deleted is a 404 with a body, and its versions count on.
    if (version > 0 || isAbsent(answer)) return { data: undefined, version };
    throw this.#unexpected(use, answer);
  }

  /** The secret's new version, or `undefined` when `version` was not the latest any more. */
  async write(
    name: string,
    data: Record<string, unknown>,
    version: number,
    use: VaultUse,
  ): Promise<number | undefined> {
    const body = { options: { cas: version }, data };
    const answer = await this.#ask(use, "POST", `${this.#data}/${name}`, body);
    const written = answer.body as { data?: { version?: unknown }; errors?: unknown[] };
    if (typeof written.data?.version === "number") return written.data.version;
    if (answer.status === 400 && /check-and-set/.test(String(written.errors?.[0]))) {
      return undefined;
    }
    throw this.#unexpected(use, answer);
  }

  /** Has Vault keep one version of a secret, from its next write on. */
  async keepOneVersion(name: string, use: VaultUse): Promise<void> {
    const body = { max_versions: 1 };
    const answer = await this.#ask(use, "POST", `${this.#metadata}/${name}`, body);
    if (answer.status >= 300) throw this.#unexpected(use, answer);
  }

  /** Removes a secret with all its versions: a `delete` of its data could be undone. */
  async remove(name: string, use: VaultUse): Promise<void> {
    const answer = await this.#ask(use, "DELETE", `${this.#metadata}/${name}`);
    if (answer.status >= 300 && !isAbsent(answer)) throw this.#unexpected(use, answer);
  }

  async list(use: VaultUse): Promise<string[]> {
    // As a parameter: a proxy may not know the method LIST.
    const answer = await this.#ask(use, "GET", `${this.#metadata}/?list=true`);
    if (isAbsent(answer)) return [];
    const { data } = answer.body as { data?: { keys?: unknown } };
    if (answer.status === 200 && Array.isArray(data?.keys)) return data.keys.map(String);
    throw this.#unexpected(use, answer);
  }

  #ask(use: VaultUse, method: VaultRequest["method"], path: string, body?: object) {
    return this.#session.request({ ...use, method, path, ...(body && { body }) });
  }

  #unexpected({ action }: VaultUse, answer: VaultAnswer): CredentialsBackendError {
    return unexpected(action, this.#session.place, answer);
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
  const { data } = answer.body as {
    data?: { type?: unknown; path?: unknown; options?: { version?: unknown } | null };
  };
  const isKv = ["kv", "generic"].includes(String(data?.type)) && data?.path === `${mount}/`;
  if (isKv && data?.options?.version === "2") return;
  const advice = isKv
    ? `It is of version 1. Run: vault kv enable-versioning ${mount}/`
    : `Give the mount alone in the option "mount", and what comes after it in "path".`;
  throw new CredentialsBackendError(
    "invalid_options",
    `Cannot ${action} ${session.place}: "${mount}" is not the mount of a KV secrets engine of ` +
      `version 2. ${advice}`,
  );
}

/** Whether a 404 is Vault's own for an absent secret: neither for a mount, nor of a proxy. */
function isAbsent({ status, body }: VaultAnswer): boolean {
  return status === 404 && Array.isArray(body.errors) && body.errors.length === 0;
}
