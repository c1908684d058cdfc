import { KeychainCredentialsBackend } from "../../../backends/keychain.ts";
import {
  CLIENT,
  type KeychainClient,
  type KeychainLimits,
  keychainLimits,
} from "../../../backends/keychain/client.ts";

/** What a crash leaves: the change that it hit, and all after it, never happen. */
export class Crash extends Error {}

/** A keychain in memory, with the limits of a real one, that can break off at any change. */
export class MemoryKeychain implements KeychainClient {
  /** All that is stored. */
  readonly values = new Map<string, string>();
  /** The changes that were made, in order. */
  readonly changes: string[] = [];
  /** How many changes are made before it breaks off. */
  changesLeft = Infinity;

  constructor(
    readonly limits: KeychainLimits = keychainLimits("linux"),
    /** Whether a long value or account is refused, and upper and lower case are one. */
    readonly isNarrow = false,
  ) {}

  get(account: string): Promise<string | undefined> {
    return Promise.resolve(this.values.get(this.#name(account)));
  }

  /** A longer value takes longer. */
  async set(account: string, value: string): Promise<void> {
    // As Windows counts: bytes of UTF-16, and its units.
    const isTooLong = value.length * 2 > 2560 || account.length > 513;
    if (this.isNarrow && isTooLong) throw new Error("too long");
    for (let turns = value.length / 100; turns > 0; turns--) await Promise.resolve();
    this.#change(`set ${account}`);
    this.values.set(this.#name(account), value);
  }

  async delete(account: string): Promise<void> {
    await Promise.resolve();
    if (!this.values.has(this.#name(account))) return;
    this.#change(`delete ${account}`);
    this.values.delete(this.#name(account));
  }

  find(): Promise<Map<string, string>> {
    return Promise.resolve(new Map(this.values));
  }

  #name(account: string): string {
    return this.isNarrow ? account.toUpperCase().toLowerCase() : account;
  }

  #change(what: string): void {
    if (this.changesLeft-- <= 0) throw new Crash();
    this.changes.push(what);
  }
}

/** A keychain with the limits of Windows, the narrowest. */
export function windowsKeychain(): MemoryKeychain {
  return new MemoryKeychain(keychainLimits("windows"), true);
}

/** The backend over a keychain of a test. */
export function keychainBackend(client: KeychainClient, lockFolder = "/nowhere") {
  const options = { service: "test", lockFolder, [CLIENT]: client };
  return new KeychainCredentialsBackend(options);
}
