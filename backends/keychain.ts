/**
 * A store in the keychain of the operating system: {@linkcode KeychainCredentialsBackend}. The system
 * encrypts the tokens and locks them with the account. `deno add` downloads the native library with
 * the module. It is loaded only where this store is used.
 *
 * ```ts
 * import { setDefaultBackend } from "@validmind/auth";
 * import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
 *
 * // From now on every sign-in of this process is kept there.
 * setDefaultBackend(new KeychainCredentialsBackend());
 * ```
 *
 * Without code: `export VM_OIDC_CREDENTIALS_BACKEND=keychain`.
 *
 * Needs `--allow-ffi` for the native library. To store tokens it also needs `--allow-env=HOME`, and
 * `--allow-read` and `--allow-write` for the folder of the locks, `~/.validmind`.
 *
 * More: [the keychain](README.md#keychain).
 *
 * @module
 */
import { checkOptions } from "./common/check_options.ts";
import { parseObject } from "./common/json.ts";
import { printable } from "./common/printable.ts";
import { repeat } from "./common/repeat.ts";
import { needDeno } from "./common/runtime.ts";
import { corruptEntry, CredentialsBackendError } from "./credentials_backend_error.ts";
import { type FolderLocks, folderLocks } from "./file/lock.ts";
import {
  CLIENT,
  describeKeychain,
  type KeychainClient,
  type KeychainLimits,
  libraryPath,
  nativeKeychainClient,
  openKeychainLibrary,
} from "./keychain/client.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/**
 * Options of {@linkcode KeychainCredentialsBackend}.
 *
 * @category Backends
 */
export interface KeychainCredentialsBackendOptions {
  /**
   * The service of the entries in the keychain. Two services share nothing.
   *
   * @default {"validmind-auth"}
   */
  service?: string;
  /**
   * Longest wait for each call of the keychain, in milliseconds. It includes the time that a person
   * takes to unlock the keychain.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * The folder of the lock files. All processes that share the keychain need the same folder, or two
   * of them may refresh one token at once.
   *
   * @default {the folder of credentialsPath(): ~/.validmind}
   */
  lockFolder?: string;
  /**
   * Longest wait for another process's lock, in milliseconds.
   *
   * @default {30_000}
   */
  lockTimeoutMs?: number;
}

/**
 * Keeps credentials in the keychain of the operating system. On Linux it is the Secret Service (GNOME
 * Keyring, KWallet, KeePassXC), on macOS the Keychain, on Windows the Credential Manager. The system
 * encrypts the entries. They belong to the OS account, and survive a restart.
 *
 * An entry is JSON, under the service `validmind-auth`. Its account is the credential key. On Windows
 * an entry of more than 1280 characters is cut into chunks under `<key>#<generation>.<number>`. The
 * chunks are written before the entry that names them, and old chunks are removed after it. A crash
 * leaves the old entry or the new one, and the next write removes the remains.
 *
 * A keychain that is locked, absent or out of reach is an error, and never "not signed in". Nothing
 * else takes its place. The kernel's keyring of Linux is not used, since it forgets at a restart.
 *
 * A keychain has no lock between processes. Two processes that use one refresh token at once may lose
 * the whole sign-in. So there are lock files, in `~/.validmind` by default: see `lockFolder`.
 *
 * Needs `--allow-ffi` for one file, the native library of `@napi-rs/keyring` in Deno's cache, which
 * `requiredPermissions()` names. Storing also needs `--allow-read` and `--allow-write` for the lock
 * folder, and `--allow-env=HOME` (`USERPROFILE` on Windows) unless that folder is given. Deno's
 * permissions do not limit native code: the library can do everything that your account can do.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
 * import { assert } from "@std/assert";
 *
 * const backend = new KeychainCredentialsBackend({ lockFolder: "/run/user/1000/validmind" });
 * assert(backend.requiredPermissions().some(({ name }) => name === "write"));
 * ```
 */
export class KeychainCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "KeychainCredentialsBackend";
  /** Always `true`: a keychain survives the process and a restart. */
  readonly persistent = true;
  /** The service of the entries. */
  readonly service: string;
  readonly #timeoutMs: number;
  readonly #locks: FolderLocks;
  #opened: KeychainClient | undefined;

  /**
   * Touches neither the keychain nor a file yet.
   *
   * @param options The service, the lock folder, and time limits.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`; without a lock folder
   * also `permission_required` and `home_unset`.
   */
  constructor(options: KeychainCredentialsBackendOptions = {}) {
    needDeno("create KeychainCredentialsBackend");
    checkOptions("create KeychainCredentialsBackend", options, {
      service: "text",
      timeoutMs: "milliseconds",
      lockFolder: "path",
      lockTimeoutMs: "milliseconds",
    });
    const { service = "validmind-auth", timeoutMs = 30_000 } = options;
    this.service = service;
    this.#timeoutMs = timeoutMs;
    this.#opened = (options as { [CLIENT]?: KeychainClient })[CLIENT];
    this.#locks = folderLocks("keychain", service, options);
  }

  /** The service, and the name of this system's keychain. */
  get location(): string {
    return describeKeychain(this.service);
  }

  /** The service: a process has the keychain of one account. */
  get storeId(): string {
    return `keychain ${this.service}`;
  }

  /**
   * The entry under `key`, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `permission_required`, `keychain_locked`,
   * `backend_unavailable`, `backend_denied`, `backend_timeout`, `backend_corrupt`,
   * `backend_locked` while others keep writing it, `backend_too_large` for a key that is too long.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const account = accountOf(key, this.#client.limits);
    let last: string | undefined;
    const limits = {
      tries: 10,
      withinMs: this.#timeoutMs,
      over: (spent: string) =>
        new CredentialsBackendError("backend_locked", {
          action: `read the entry "${printable(key)}" of ${this.location}`,
          reason: `other programs keep writing it, ${spent}`,
          remedy: "Try again.",
        }),
    };
    const { entry } = await repeat(limits, async () => {
      const head = await this.#client.get(account);
      if (head === undefined) return { entry: undefined };
      const text = await this.#read(account, head);
      if (text !== undefined) {
        const entry = parseObject(text);
        if (!entry) throw this.#corrupt(key, "the entry is not an object in JSON");
        return { entry: entry as OidcCredentials };
      }
      // A writer may have removed the chunks meanwhile: then the head is another one by now.
      if (head === last) throw this.#corrupt(key, "a part of the entry is missing or changed");
      last = head;
      return undefined;
    });
    return entry;
  }

  /**
   * Stores `entry` under `key`. It is read back before this resolves. At any moment the old entry or
   * the new one is whole. Gives whether it was stored.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`,
   * `backend_unproven`. The old entry is then still there, or the new one.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<boolean> {
    if (isReplaced && !isReplaced(await this.get(key))) return false;
    const account = accountOf(key, this.#client.limits);
    const text = toAscii(JSON.stringify(entry));
    const { head, chunks, generation } = chunkValue(text, this.#client.limits.valueChars);
    for (const [index, chunk] of chunks.entries()) {
      await this.#client.set(chunkAccount(account, generation, index), chunk);
    }
    await this.#client.set(account, head);
    if (await this.#tidy(account, generation) === head) return true;
    throw new CredentialsBackendError("backend_unproven", {
      action: `write credentials to ${this.location}`,
      reason: `it took the entry for "${printable(key)}" and gives back something else`,
      remedy: "Check what else writes to it, or use another backend.",
    });
  }

  /**
   * Removes the entry under `key`, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async delete(key: string): Promise<void> {
    const account = accountOf(key, this.#client.limits);
    await this.#client.delete(account);
    if (await this.#tidy(account) !== undefined) throw this.#notDeleted();
  }

  /**
   * The keys of all entries of the service.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    for (const account of (await this.#client.find()).keys()) {
      const key = keyOf(account, this.#client.limits);
      if (key !== undefined) yield key;
    }
  }

  /**
   * Removes all entries of the service, also those that cannot be read.
   *
   * @throws {CredentialsBackendError} As {@linkcode delete}.
   */
  async deleteAll(): Promise<void> {
    const accounts = (await this.#client.find()).keys().toArray();
    const isChunk = (account: string) => account.includes("#"); // the heads go first
    for (const account of accounts.sort((one, other) => +isChunk(one) - +isChunk(other))) {
      await this.#client.delete(account);
    }
    if ((await this.#client.find()).size > 0) throw this.#notDeleted();
  }

  /**
   * Runs `fn` while no other process that shares the lock folder holds the lock of the same key.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_unavailable`;
   * `backend_locked` after `lockTimeoutMs`. A signal that ends the wait throws its reason.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await this.#locks.run(key, fn, options);
  }

  /** The native library. For storing also the lock folder, and the variable of the home folder. */
  requiredPermissions(): BackendPermission[] {
    const needs: BackendPermission[] = [];
    if (libraryPath !== undefined) needs.push({ name: "ffi", path: libraryPath });
    return [...needs, ...this.#locks.needs];
  }

  get #client() {
    return this.#opened ??= nativeKeychainClient(
      openKeychainLibrary(libraryPath),
      this.service,
      this.#timeoutMs,
    );
  }

  /** The value that a head stands for; `undefined` where its chunks are not all there. */
  async #read(account: string, head: string) {
    const [, generation, count] = HEAD.exec(head) ?? [];
    if (generation === undefined) return head;
    let text = "";
    for (let index = 0; index < Number(count); index++) {
      const chunk = await this.#client.get(chunkAccount(account, generation, index));
      if (chunk === undefined) return undefined;
      text += chunk;
    }
    return text;
  }

  /** Removes the chunks that no head names: those of the entry before, and the remains of a crash. */
  async #tidy(account: string, generation = "none") {
    const found = await this.#client.find();
    for (const other of found.keys()) {
      const isOfHead = other.startsWith(`${account}#${generation}.`);
      if (other.startsWith(`${account}#`) && !isOfHead) await this.#client.delete(other);
    }
    return found.get(account);
  }

  #corrupt(key: string, reason: string) {
    return corruptEntry(`read the entry "${printable(key)}" of ${this.location}`, reason);
  }

  #notDeleted() {
    return new CredentialsBackendError("backend_denied", {
      action: `delete credentials in ${this.location}`,
      reason: "they are still there after it",
      remedy: "Delete them in the system's own program for passwords.",
    });
  }
}

/** Characters that have a meaning here, or that the name of an account would lose. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[%#\x00-\x1f\x7f]|\p{Cs}/gu;
/** Beside that, all that has an upper and a lower case. */
// deno-lint-ignore no-control-regex
const UNSAFE_IN_ANY_CASE = /[%#A-Z\x00-\x1f\x7f-\u{10ffff}]/gu;

/** The head of an entry that is cut, with the generation and the number of its chunks. */
const HEAD = /^validmind-auth chunks v1 ([\da-f]{12}) (\d{1,4})( |$)/;

/**
 * The account of a key's entry: the key itself, except for characters that a keychain would lose or
 * that have a meaning here, which are percent-encoded.
 */
function accountOf(key: string, { ignoresCase }: KeychainLimits) {
  const unsafe = ignoresCase ? UNSAFE_IN_ANY_CASE : UNSAFE;
  return key.replace(unsafe, (char) => `%${char.codePointAt(0)!.toString(16)};`);
}

/** The key of an account. `undefined` for the account of a chunk, and for one that no key has. */
function keyOf(account: string, limits: KeychainLimits) {
  const key = account.replace(
    /%([\da-f]{1,5}|10[\da-f]{4});/g,
    (_, code) => String.fromCodePoint(parseInt(code, 16)),
  );
  return accountOf(key, limits) === account ? key : undefined;
}

function chunkAccount(account: string, generation: string, index: number) {
  return `${account}#${generation}.${index}`;
}

/**
 * Cuts `text`, which is ASCII, if it is longer than `limit`. The head is written last, and names the
 * chunks by their generation, which no other set of chunks has.
 */
function chunkValue(text: string, limit: number) {
  const generation = crypto.getRandomValues(new Uint8Array(6)).toHex();
  const length = text.length > limit ? Math.ceil(text.length / limit) : 0;
  const head = length === 0 ? text : `validmind-auth chunks v1 ${generation} ${length}`;
  const chunks = Array.from(
    { length },
    (_, index) => text.slice(index * limit, (index + 1) * limit),
  );
  return { head, chunks, generation };
}

/** One character is one byte, and one UTF-16 unit, wherever the value is cut. */
function toAscii(json: string) {
  return json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
