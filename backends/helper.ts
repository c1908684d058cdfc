/**
 * A store that is a program, such as `docker-credential-pass` or your company's own:
 * {@linkcode HelperCredentialsBackend}. The program speaks the protocol of docker's credential
 * helpers. {@linkcode serveHelper} makes such a program of any store.
 *
 * ```ts
 * import { setDefaultBackend } from "@validmind/auth";
 * import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
 *
 * // From now on every sign-in of this process is kept there.
 * setDefaultBackend(new HelperCredentialsBackend({ program: "docker-credential-pass" }));
 * ```
 *
 * Without code, by variables:
 *
 * ```sh
 * export VM_OIDC_CREDENTIALS_BACKEND=helper
 * export VM_OIDC_CREDENTIALS_BACKEND_KWARGS='{"program": "docker-credential-pass"}'
 * ```
 *
 * Needs `--allow-run` for the program, and `--allow-env=PATH` to find it by its name. To store tokens
 * it also needs `--allow-env=HOME`, and `--allow-read` and `--allow-write` for the folder of the
 * locks, `~/.validmind`.
 *
 * More: [a program](README.md#a-program); [make one](own.md#a-program-as-a-store).
 *
 * @module
 */
import { assertCredentialsBackend } from "./common/describe_backend.ts";
import { hashOf } from "./common/bytes.ts";
import { checkOptions, invalidOptions } from "./common/check_options.ts";
import { cleanForeign, secretsOf } from "./common/foreign_error.ts";
import { parseObject } from "./common/json.ts";
import { isAbsolute, isProgramPath } from "./common/paths.ts";
import { delay } from "./common/promises.ts";
import { needDeno } from "./common/runtime.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./credentials_backend_error.ts";
import { type FolderLocks, folderLocks, shortHash } from "./file/lock.ts";
import { StoreMarks } from "./helper/late_store.ts";
import { type Ended, type Program, runProgram } from "./helper/program.ts";
import {
  accountFor,
  addressIn,
  addressOf,
  keyOf,
  NOT_FOUND,
  type Row,
  rowIn,
  serve,
} from "./helper/protocol.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/**
 * Options of {@linkcode HelperCredentialsBackend}.
 *
 * @category Backends
 */
export interface HelperCredentialsBackendOptions {
  /** The program: its name, to be found in the absolute folders of `PATH`, or its absolute path. */
  program: string;
  /**
   * Arguments before the action. Most helpers take none.
   *
   * @default {[]}
   */
  args?: readonly string[];
  /** Variables for the program, beside those of this process. */
  env?: Readonly<Record<string, string>>;
  /**
   * Longest time of one call of the program, in milliseconds. It includes the time that a person
   * takes to unlock its store.
   *
   * @default {30_000}
   */
  timeoutMs?: number;
  /**
   * The folder of the lock files. All processes with this store have to share it.
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
 * Keeps credentials with a program that speaks the protocol of docker's credential helpers. It is
 * `docker-credential-pass`, `-secretservice`, `-osxkeychain`, your company's own, or one that
 * {@linkcode serveHelper} makes. The program runs with the rights of your account. The code of its
 * store is not in your process.
 *
 * The program is called as `PROGRAM ARGS… get|store|erase|list`, with JSON on standard input and
 * output. `ServerURL` is `https://validmind-auth.invalid/` with the key in base64url, `Username` the
 * client id (percent-encoded), and `Secret` the entry as JSON. Each write is read back, and each
 * removal is checked. Only the protocol's own words for an absent entry mean "not signed in". Every
 * other answer is an error.
 *
 * Needs `--allow-run` for the program, and `--allow-env=PATH` if it is given by its name. Storing
 * needs `--allow-read` and `--allow-write` for the lock folder, and `--allow-env=HOME` (`USERPROFILE`
 * on Windows) if that folder is the default. The program inherits the environment without a grant. A
 * grant to run an interpreter, such as `deno`, gives every permission.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new HelperCredentialsBackend({ program: "/opt/bank/bin/vm-store" });
 * assertEquals(backend.requiredPermissions()[0], { name: "run", command: "/opt/bank/bin/vm-store" });
 * ```
 */
export class HelperCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "HelperCredentialsBackend";
  /** Always `true`: the program's store is expected to survive the process. */
  readonly persistent = true;
  readonly #program: Program;
  readonly #locks: FolderLocks;

  /**
   * Starts no program yet.
   *
   * @param options The program, and its limits.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`; without a lock folder
   * also `permission_required` and `home_unset`.
   */
  constructor(options: HelperCredentialsBackendOptions) {
    const action = "create HelperCredentialsBackend";
    needDeno(action);
    checkOptions(action, options, {
      program: "text",
      args: "array",
      env: "texts",
      timeoutMs: "timeout",
      lockFolder: "path",
      lockTimeoutMs: "milliseconds",
    });
    const { program, args = [], env, timeoutMs = 30_000 } = options;
    if (program === undefined || (isProgramPath(program) && !isAbsolute(program))) {
      const reason = 'option "program" is neither a name nor an absolute path';
      throw invalidOptions(action, reason, "Give one.");
    }
    this.#program = { program, args: [...args], env: env && { ...env }, timeoutMs };
    this.#locks = folderLocks("helper", this.location, options);
  }

  /** The program with `args`. */
  get location(): string {
    return [this.#program.program, ...this.#program.args].join(" ");
  }

  /** The program, with its arguments and variables: by other ones it may use another store. */
  get storeId(): string {
    const { program, args, env = {} } = this.#program;
    return `helper ${JSON.stringify([program, args, Object.entries(env).sort()])}`;
  }

  /**
   * The entry under `key`, or `undefined` when the helper says that there is none.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_unavailable`,
   * `backend_timeout`, `backend_corrupt`; `keychain_locked` where it says so, or lists the entry and does
   * not give it.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const address = await addressOf(key);
    const row = await this.#rowAt(address);
    if (!row) return await this.#assertAbsent(address, "read");
    if (row.key === key) return row.entry;
    throw this.#error(
      "backend_corrupt",
      "read",
      "its answer is not this entry in JSON",
      "Nothing was changed. Check that it is a credential helper. If only this entry is damaged, " +
        "sign out to remove it.",
    );
  }

  /**
   * Stores `entry` under `key`, and reads it back. Gives whether it was stored.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large` or
   * `backend_unproven` if the program gives back less, or something else.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<boolean> {
    if (isReplaced && !isReplaced(await this.get(key))) return false;
    const account = accountFor(key, await addressOf(key), entry);
    const ended = await this.#marksAt(account.ServerURL).during(
      account.Secret,
      () => this.#run("store", JSON.stringify(account)),
    );
    this.#assertGood("store", ended, secretsOf(entry));
    const stored = (await this.#accountAt(account.ServerURL))?.Secret;
    if (stored === account.Secret) return true;
    const isCut = typeof stored === "string" && stored.length < account.Secret.length;
    throw this.#error(
      isCut ? "backend_too_large" : "backend_unproven",
      "write",
      "it gives back something else than it was given",
      "Use another helper or another backend.",
    );
  }

  /**
   * Removes the entry under `key`, if there is one. If a process was ended while the program stored the
   * entry, that program may still write it: then this waits for it, for `timeoutMs` at most.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_denied` where it is still there.
   */
  async delete(key: string): Promise<void> {
    await this.#erase(await addressOf(key));
  }

  /**
   * The keys of all entries of this module. Docker's own logins are left out.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    for (const address of await this.#addresses()) {
      const key = keyOf(address) ?? (await this.#rowAt(address))?.key;
      if (key !== undefined && await addressOf(key) === address) yield key;
    }
  }

  /**
   * Removes all entries of this module, also those that cannot be read.
   *
   * @throws {CredentialsBackendError} As {@linkcode delete}.
   */
  async deleteAll(): Promise<void> {
    for (const address of await this.#addresses()) await this.#erase(address);
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
    { signal }: WithLockOptions<T> = {},
  ): Promise<T> {
    // Without a look at the entry between two tries, which would run the program: whoever gets the lock looks.
    return await this.#locks.run(key, fn, { signal });
  }

  /** The program, `PATH` where it is given by its name, and for storing the lock folder. */
  requiredPermissions(): BackendPermission[] {
    const { program } = this.#program;
    const needs: BackendPermission[] = [{ name: "run", command: program }, ...this.#locks.needs];
    if (!isProgramPath(program)) needs.push({ name: "env", variable: "PATH" });
    return needs;
  }

  async #addresses() {
    const text = (await this.#look("list", "")).stdout.trim();
    const accounts = text === "null" ? {} : parseObject(text); // Go's empty map
    if (accounts) {
      return Object.keys(accounts).map(addressIn).filter((address) => address !== undefined);
    }
    throw this.#error(
      "backend_corrupt",
      "list",
      "its answer is not a JSON object",
      "Check that it is a credential helper.",
    );
  }

  #marksAt(address: string) {
    return new StoreMarks(`${this.#locks.base}.${shortHash(address)}`, this.#program.timeoutMs);
  }

  /** Removes an entry, and what a program writes after its process has ended. */
  async #erase(address: string) {
    const look = async () => await hashOf(`${(await this.#accountAt(address))?.Secret}`);
    const erase = () => this.#eraseOnce(address);
    await this.#marksAt(address).remove(this.#program.program, look, erase);
  }

  async #eraseOnce(address: string) {
    const erased = await this.#run("erase", address);
    const isAbsent = isNotFound(erased) || !await this.#accountAt(address);
    if (isAbsent) return await this.#assertAbsent(address, "remove");
    this.#assertGood("erase", erased);
    const remedy = "Remove them with the program's own tools.";
    throw this.#error("backend_denied", "remove", "they are still there after it", remedy);
  }

  /**
   * Refuses an entry that the program calls absent and lists, as docker-credential-secretservice does with one of
   * a locked store. Another look finds what somebody has stored meanwhile.
   */
  async #assertAbsent(address: string, verb: string) {
    const listed: string[] = await this.#addresses().catch((error) => {
      const isToTell = ["keychain_locked", "backend_timeout"].includes(error.code);
      if (isToTell && verb === "read") throw error; // an entry may be there
      return [];
    });
    if (!listed.includes(address) || await this.#accountAt(address)) return undefined;
    const reason = "it lists them, and does not give them";
    const remedy = "Unlock its store, or remove them with the program's own tools.";
    throw this.#error("keychain_locked", verb, reason, remedy);
  }

  /** The answer for an address, empty where it is not one; `undefined` where there is none. */
  async #accountAt(address: string) {
    const answer = await this.#look("get", address);
    return isNotFound(answer) ? undefined : parseObject(answer.stdout) ?? {};
  }

  /** What is stored at an address; empty where it is not an entry of this address. */
  async #rowAt(address: string): Promise<Partial<Row> | undefined> {
    const account = await this.#accountAt(address);
    if (!account) return undefined;
    const { ServerURL, Secret } = account;
    if (ServerURL && ServerURL !== address) return {};
    return rowIn(address, Secret) ?? {};
  }

  /**
   * The answer to a look, which fails where another process changes the store at that moment: `pass` writes
   * in place, and an entry may go between a list and its parts. The program is asked once more.
   */
  async #look(action: "get" | "list", input: string) {
    const isGood = (ended: Ended) => ended.code === 0 || action === "get" && isNotFound(ended);
    const first = await this.#run(action, input);
    if (isGood(first)) return first;
    await delay(250);
    const second = await this.#run(action, input);
    if (!isGood(second)) this.#assertGood(action, second);
    return second;
  }

  #run(action: string, input: string) {
    return runProgram(this.#program, action, input);
  }

  #assertGood(action: string, ended: Ended, secrets: string[] = []) {
    const { code, signal } = ended;
    if (code === 0) return;
    const words = cleanForeign(wordsOf(action, ended), secrets).replace(/\.$/, "");
    const end = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
    const said = words === "" ? "nothing that can be shown" : `"${words}"`;
    throw this.#error(
      codeOfFailure(action, ended),
      action,
      `${end}, and said ${said}`,
      ended.stderr.trim() === NOT_FOUND
        ? "The program has to say this on standard output, with exit code 1."
        : 'Run the program with "list" in a terminal to see what it needs. If its store is locked, ' +
          "unlock it there; of pass, by: pass show ENTRY",
    );
  }

  #error(
    code: CredentialsBackendErrorCode,
    verb: string,
    reason: string,
    remedy: string,
  ) {
    const action = `${verb} credentials by ${this.#program.program}`;
    return new CredentialsBackendError(code, { action, reason, remedy });
  }
}

/**
 * The code of a failure, by the words of docker's helpers, also by those that are not shown. A fallback passes
 * over none that is locked or denied.
 */
function codeOfFailure(action: string, { stdout, stderr }: Ended): CredentialsBackendErrorCode {
  const words = stdout + stderr;
  if (/decryption failed|\b(keyring)?locked\b|unlock|interaction is not allowed/i.test(words)) {
    return "keychain_locked";
  }
  if (/deni(ed|es)|not (allow|author|permit)|dismissed|cancell?ed|passphrase/i.test(words)) {
    return "backend_denied";
  }
  // Go's helpers take no line of more than 64 KiB: "bufio.Scanner: token too long".
  if (action === "store" && /too (long|large|big)/i.test(words)) return "backend_too_large";
  return "backend_unavailable";
}

/** Whether a helper says that there is no such entry. */
function isNotFound({ code, stdout }: Ended) {
  return code === 1 && stdout.trim() === NOT_FOUND;
}

/**
 * The first line of a program that failed. At a get it may be a piece of an entry, unless the program
 * refuses by the protocol: with code 1, and a reason on standard output. Then only its first word is shown.
 */
function wordsOf(action: string, { code, stdout, stderr }: Ended) {
  const [line = ""] = `${stdout}\n${stderr}`.trim().split("\n");
  if (action !== "get" || line === NOT_FOUND) return line;
  const isRefusal = code === 1 && /^\s*[^\s{]/.test(stdout);
  if (isRefusal) return line;
  return /^[a-z]{1,16}(?=[\s:])/i.exec(line)?.[0] ?? "";
}

/**
 * Makes a program of a backend, by the protocol of docker's credential helpers. It runs the action in
 * the last argument, with JSON on standard input and output, and ends. Errors go to standard output
 * with exit code 1, as in docker's own helpers.
 *
 * Install the program with the permissions of the backend. With {@linkcode HelperCredentialsBackend}
 * the store then runs in a process of its own:
 *
 * ```sh
 * deno install --global --force --no-config --allow-net=vault.example.com --name vm-store store.ts
 * ```
 *
 * Needs the permissions of the backend.
 *
 * @param backend The store.
 * @throws {CredentialsBackendError} `invalid_backend`.
 * @category Backends
 *
 * @example store.ts
 * ```ts ignore
 * import { serveHelper } from "@validmind/auth/backends/helper";
 * import { TeamStore } from "./team_store.ts";
 *
 * await serveHelper(new TeamStore({ url: "https://vault.example.com" }));
 * ```
 */
export async function serveHelper(backend: OidcCredentialsBackend): Promise<void> {
  assertCredentialsBackend(backend, "the argument of serveHelper()");
  let answer = "the store failed. Its words are left out, since they may quote a token";
  try {
    answer = await serve(backend, Deno.args.at(-1), await new Response(Deno.stdin.readable).text());
  } catch (error) {
    if (error instanceof CredentialsBackendError) answer = error.message;
    Deno.exitCode = 1;
  }
  if (answer === NOT_FOUND) Deno.exitCode = 1;
  const bytes = new TextEncoder().encode(answer && `${answer}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  await backend.close?.();
}
