import type * as keyring from "@napi-rs/keyring";
import process from "node:process";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import { keychainError, keychainTimeout } from "./keychain_error.ts";
import { untilAborted } from "./delay.ts";

/** The values of one service in a keychain, by account. */
export interface KeychainClient {
  /** The value, or `undefined` only when there is none. */
  get(account: string): Promise<string | undefined>;
  /** Stores a value, and gives the connection that took it: another object when it is another one. */
  set(account: string, value: string): Promise<object>;
  /** Removes a value; an absent one is no error. */
  delete(account: string): Promise<void>;
  /** All values by account. */
  find(): Promise<Map<string, string>>;
  /** Gives up its connections. */
  close(): void;
}

/** What is used of the native library. */
export type KeychainLibrary = Pick<typeof keyring, "AsyncEntry" | "findCredentialsAsync">;

type Entry = keyring.AsyncEntry;

/** Only the store that survives a restart: left to itself the library takes the kernel's instead. */
const OPTIONS: keyring.EntryOptions = { linux: { store: "secret-service" } };

/** How many entries keep their connection: a process rarely uses more than one or two keys. */
const KEPT = 8;

/** Loads the native library. Needs `--allow-ffi` for its path, and nothing else. */
export function openKeychainLibrary(path: string | undefined): KeychainLibrary {
  if (path === undefined) {
    throw new CredentialsBackendError(
      "backend_unavailable",
      `Cannot use the OS keychain: there is no library of @napi-rs/keyring for ` +
        `${Deno.build.target}, or Deno could not fetch it. Check the npm registry, or use another ` +
        `backend.`,
    );
  }
  const module = { exports: {} as KeychainLibrary };
  try {
    process.dlopen(module, path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new CredentialsBackendError(
        "permission_required",
        `Cannot use the OS keychain: Deno does not permit its library. Run with: ` +
          `--allow-ffi=${path}`,
      );
    }
    throw new CredentialsBackendError(
      "backend_unavailable",
      `Cannot use the OS keychain: its library ${path} does not load. Remove it from Deno's cache ` +
        `to have it fetched anew, or use another backend.`,
      { cause: error },
    );
  }
  return module.exports;
}

/** A keychain through the native library, with a time limit on each call. */
export class NativeKeychainClient implements KeychainClient {
  readonly #library: KeychainLibrary;
  readonly #service: string;
  readonly #timeoutMs: number;
  readonly #isLinux: boolean;
  /** Each holds a connection of its own, which costs ten times as much as a call. */
  readonly #entries = new Map<string, Entry>();

  constructor(
    library: KeychainLibrary,
    service: string,
    timeoutMs: number,
    isLinux: boolean = Deno.build.os === "linux",
  ) {
    this.#library = library;
    this.#service = service;
    this.#timeoutMs = timeoutMs;
    this.#isLinux = isLinux;
  }

  async get(account: string): Promise<string | undefined> {
    return await this.#call("read", account, (entry) => entry.getPassword()) ?? undefined;
  }

  async set(account: string, value: string): Promise<object> {
    return await this.#call("write", account, async (entry) => {
      await entry.setPassword(value);
      return entry;
    });
  }

  async delete(account: string): Promise<void> {
    await this.#call("delete", account, (entry) => entry.deleteCredential());
  }

  async find(): Promise<Map<string, string>> {
    const found = await this.#limited("list", () => this.#find(this.#service));
    return new Map(found.map(({ account, password }) => [account, password]));
  }

  close(): void {
    this.#entries.clear();
  }

  async #call<T>(action: string, account: string, run: (entry: Entry) => Promise<T>): Promise<T> {
    const kept = this.#entries.get(account);
    this.#entries.delete(account);
    if (kept !== undefined) {
      try {
        return await this.#use(action, account, kept, run);
      } catch (error) {
        // A service that was started anew does not know the connection: a new one may do.
        if ((error as CredentialsBackendError).code !== "backend_unavailable") throw error;
      }
    }
    return await this.#use(action, account, await this.#connect(action, account), run);
  }

  async #use<T>(
    action: string,
    account: string,
    entry: Entry,
    run: (entry: Entry) => Promise<T>,
  ): Promise<T> {
    const value = await this.#limited(action, () => run(entry));
    this.#entries.set(account, entry); // after a failure, a new one
    if (this.#entries.size > KEPT) this.#entries.delete(this.#entries.keys().next().value!);
    return value;
  }

  async #connect(action: string, account: string): Promise<Entry> {
    // A connection is made without yielding, so not before it is known that somebody answers.
    if (this.#isLinux) await this.#limited(action, () => this.#find(`${this.#service} (none)`));
    return await this.#limited(
      action,
      () => Promise.resolve(new this.#library.AsyncEntry(this.#service, account, OPTIONS)),
    );
  }

  #find(service: string): Promise<keyring.Credential[]> {
    return this.#library.findCredentialsAsync(service);
  }

  async #limited<T>(action: string, run: () => Promise<T>): Promise<T> {
    const what = `${action} credentials in`;
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(keychainTimeout(what, this.#service, this.#timeoutMs)),
      this.#timeoutMs,
    );
    try {
      return await untilAborted(run(), late.signal);
    } catch (error) {
      throw keychainError(what, this.#service, error);
    } finally {
      clearTimeout(timer);
    }
  }
}
