import { parseObject, printable } from "../common/printable.ts";
import { call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import { describeKeychain, type KeychainClient } from "./client.ts";
import {
  accountOf,
  chunkAccount,
  chunkValue,
  isStaleChunk,
  type KeychainLimits,
  keychainLimits,
  keyOf,
  parseHead,
} from "./encoding.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";

/** Credentials in a keychain. Writers take turns by their caller. */
export class KeychainStore {
  readonly #client: KeychainClient;
  readonly #service: string;
  readonly #limits: KeychainLimits;

  constructor(client: KeychainClient, service: string, limits = keychainLimits()) {
    this.#client = client;
    this.#service = service;
    this.#limits = limits;
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const account = accountOf(key, this.#limits);
    let previous: string | undefined;
    for (;;) {
      const head = await this.#client.get(account);
      if (head === undefined) return undefined;
      const text = await this.#read(account, head);
      if (text !== undefined) return this.#parse(key, text);
      // A writer may have removed the chunks meanwhile: then the head is another one by now.
      if (head === previous) throw this.#corrupt(key, "a part of the entry is missing or changed");
      previous = head;
    }
  }

  /**
   * Stores the entry. Its chunks are written before the head that names them, so that at any moment
   * either the old entry or the new one is whole. The written value is looked for.
   */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    const account = accountOf(key, this.#limits);
    const text = toAscii(JSON.stringify(entry));
    const { head, chunks, generation } = chunkValue(text, this.#limits.valueChars);
    for (const [index, chunk] of chunks.entries()) {
      await this.#client.set(chunkAccount(account, generation!, index), chunk);
    }
    await this.#client.set(account, head);
    if (await this.#tidy(account, generation) === head) return;
    throw new CredentialsBackendError(
      "backend_unproven",
      `Cannot write credentials to ${this.#name}: it took the entry for "${printable(key)}" and ` +
        `gives back something else. Look what else writes to it, or use another backend.`,
    );
  }

  /** Removes the entry, its head first, and whatever chunks of it are left. */
  async delete(key: string): Promise<void> {
    const account = accountOf(key, this.#limits);
    await this.#client.delete(account);
    if (await this.#tidy(account) !== undefined) throw this.#notDeleted();
  }

  async list(): Promise<string[]> {
    const accounts = [...(await this.#client.find()).keys()];
    return accounts.map((account) => keyOf(account, this.#limits))
      .filter((key) => key !== undefined);
  }

  /** Removes all that the service has, without a look at it. Heads go before their chunks. */
  async deleteAll(): Promise<void> {
    const accounts = [...(await this.#client.find()).keys()];
    const [heads, chunks] = [false, true].map((isChunk) =>
      accounts.filter((account) => account.includes("#") === isChunk)
    );
    for (const account of [...heads!, ...chunks!]) await this.#client.delete(account);
    if ((await this.#client.find()).size > 0) throw this.#notDeleted();
  }

  get #name(): string {
    return describeKeychain(this.#service);
  }

  /** The value that a head stands for; `undefined` where its chunks are not all there. */
  async #read(account: string, head: string): Promise<string | undefined> {
    const chunked = parseHead(head);
    if (chunked === undefined) return head;
    let text = "";
    for (let index = 0; index < chunked.count; index++) {
      const chunk = await this.#client.get(chunkAccount(account, chunked.generation, index));
      if (chunk === undefined) return undefined;
      text += chunk;
    }
    return text;
  }

  /** Removes the chunks that no head names: those of the entry before, and the remains of a crash. */
  async #tidy(account: string, generation?: string): Promise<string | undefined> {
    const found = await this.#client.find();
    for (const other of found.keys()) {
      if (isStaleChunk(other, account, generation)) await this.#client.delete(other);
    }
    return found.get(account);
  }

  #parse(key: string, text: string): OidcCredentials {
    const entry = parseObject(text);
    if (entry === undefined) throw this.#corrupt(key, "the entry is not an object in JSON");
    return entry as OidcCredentials;
  }

  #corrupt(key: string, reason: string): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_corrupt",
      words`Cannot read the entry "${printable(key)}" of ${this.#name}: ${reason}. Nothing was
        changed. Remove it with ${call("clearOidcCredentials")}.`,
    );
  }

  #notDeleted(): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_denied",
      `Cannot delete credentials in ${this.#name}: they are still there after it. Delete them in ` +
        `the system's own program for passwords.`,
    );
  }
}

/** One character is one byte, and one UTF-16 unit, wherever the value is cut. */
function toAscii(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
