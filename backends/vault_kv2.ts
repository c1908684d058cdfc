import { isAbsent, listedNames, unexpected } from "./vault_answer.ts";
import type { VaultKv, VaultSecret, VaultUse } from "./vault_kv.ts";
import type { VaultSession } from "./vault_session.ts";

/** A folder of KV version 2, which counts versions: a write depends on the one that was read. */
export class KvVersion2 implements VaultKv {
  readonly hasCheckAndSet = true;
  readonly #session: VaultSession;
  readonly #mount: string;
  readonly #path: string;
  /** The secrets of which this process knows that Vault keeps one version alone. */
  readonly #limited = new Set<string>();

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
    // At version 0 it is new, or was removed by somebody else, and what we know of it with it.
    if (version > 0 && this.#limited.has(name)) return;
    const answer = await this.#session.request({
      ...use,
      method: "POST",
      path: this.#metadata(name),
      body: { max_versions: 1 },
    });
    if (answer.status >= 300) throw this.#unexpected(use, answer);
    this.#limited.add(name);
  }

  async remove(name: string, use: VaultUse): Promise<void> {
    this.#limited.delete(name);
    const path = this.#metadata(name);
    const answer = await this.#session.request({ ...use, method: "DELETE", path });
    if (answer.status >= 300 && !isAbsent(answer)) throw this.#unexpected(use, answer);
  }

  async list(use: VaultUse): Promise<string[]> {
    // As a parameter: a proxy may not know the method LIST.
    const path = `${this.#mount}/metadata/${this.#path}/?list=true`;
    const answer = await this.#session.request({ ...use, method: "GET", path });
    const names = listedNames(answer);
    if (names === undefined) throw this.#unexpected(use, answer);
    return names;
  }

  #data(name: string): string {
    return `${this.#mount}/data/${this.#path}/${name}`;
  }

  #metadata(name: string): string {
    return `${this.#mount}/metadata/${this.#path}/${name}`;
  }

  #unexpected(use: VaultUse, answer: Parameters<typeof unexpected>[2]) {
    return unexpected(use.action, this.#session.place, answer);
  }
}
