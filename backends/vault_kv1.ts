import { isAbsent, listedNames, unexpected } from "./vault_answer.ts";
import type { VaultKv, VaultSecret, VaultUse } from "./vault_kv.ts";
import type { VaultSession } from "./vault_session.ts";

/** A folder of KV version 1, which keeps one version of a secret and cannot compare before it writes. */
export class KvVersion1 implements VaultKv {
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

  async remove(name: string, use: VaultUse): Promise<void> {
    const path = `${this.#folder}/${name}`;
    const answer = await this.#session.request({ ...use, method: "DELETE", path });
    if (answer.status >= 300 && !isAbsent(answer)) {
      throw unexpected(use.action, this.#session.place, answer);
    }
  }

  async list(use: VaultUse): Promise<string[]> {
    const path = `${this.#folder}/?list=true`;
    const answer = await this.#session.request({ ...use, method: "GET", path });
    const names = listedNames(answer);
    if (names === undefined) throw unexpected(use.action, this.#session.place, answer);
    return names;
  }
}
