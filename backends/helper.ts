/**
 * The backend that keeps credentials by a program of their owner's, which speaks the protocol of
 * docker's credential helpers: {@linkcode HelperCredentialsBackend}. And the other side of it:
 * {@linkcode serveHelper} makes such a program of any backend.
 *
 * By variables it needs no code: `VM_OIDC_CREDENTIALS_BACKEND=helper` and
 * `VM_OIDC_CREDENTIALS_BACKEND_KWARGS={"program": "docker-credential-pass"}`.
 *
 * ```ts ignore
 * import { init } from "@validmind/auth";
 * import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
 *
 * await init({
 *   credentialsBackend: new HelperCredentialsBackend({ program: "docker-credential-pass" }),
 * });
 * ```
 *
 * @module
 */

import { folderNeeds, folderOf, needDeno } from "./common/platform.ts";
import { secretsOf } from "./common/describe_backend.ts";
import { isObject, parseObject, printable } from "./common/printable.ts";
import { redact } from "./common/redact.ts";
import {
  assertCredentialsBackend,
  checkOptions,
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
  keepName,
} from "./credentials_backend_error.ts";
import { credentialsPath } from "./file.ts";
import { shortHash, withKeyLock } from "./file/lock.ts";
import {
  addressIn,
  addressOf,
  isNotFound,
  keyOf,
  NOT_FOUND,
  secretFor,
  serve,
  userOf,
} from "./helper/protocol.ts";
import {
  type Ended,
  isAbsolute,
  isPath,
  locationOfProgram,
  type Program,
  runProgram,
} from "./helper/run_program.ts";
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
   * @default []
   */
  args?: readonly string[];
  /** Variables for the program, beside those of this process. */
  env?: Readonly<Record<string, string>>;
  /**
   * Longest time of one call of the program, in milliseconds, with the time that a person takes to
   * unlock its store.
   *
   * @default 30_000
   */
  timeoutMs?: number;
  /**
   * The folder of the lock files, which all processes with this store have to share. `false` is for a
   * store that one process at a time uses: no file is touched, and nothing is locked beyond this process.
   *
   * @default the folder of credentialsPath(): ~/.validmind
   */
  lockFolder?: string | false;
  /**
   * Longest wait for another process's lock, in milliseconds.
   *
   * @default 30_000
   */
  lockTimeoutMs?: number;
}
/**
 * Keeps credentials by a program that speaks the protocol of docker's credential helpers:
 * `docker-credential-pass`, `-secretservice`, `-osxkeychain`, one of your company's, or one that
 * {@linkcode serveHelper} makes. The program runs with the rights of your account; the code of its store
 * is not in your process.
 *
 * The program is called as `PROGRAM ARGS… get|store|erase|list`, with JSON on standard input and output.
 * `ServerURL` is `https://validmind-auth.invalid/` with the key in base64url, `Username` the client id
 * (percent-encoded), and `Secret` the entry as JSON. What is stored is read back, and what is removed is
 * looked for. Anything but the helper's word for an absent entry is an error, and never "not signed in".
 *
 * Needs `--allow-run` for the program, `--allow-env=PATH` where it is given by its name, and for storing
 * `--allow-read` and `--allow-write` for the lock folder, with `--allow-env=HOME` (`USERPROFILE` on
 * Windows) where that is the default. That the program inherits the environment needs no grant. A grant
 * to run an interpreter, such as `deno`, is every grant: a warning on standard error says so once.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { HelperCredentialsBackend } from "@validmind/auth/backends/helper";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new HelperCredentialsBackend({ program: "/opt/bank/bin/vm-store", lockFolder: false });
 * assertEquals(backend.requiredPermissions(), [{ name: "run", command: "/opt/bank/bin/vm-store" }]);
 * ```
 */
export class HelperCredentialsBackend implements OidcCredentialsBackend {
  static {
    keepName(this, "HelperCredentialsBackend");
  }

  /** Always `true`: the program's store is expected to survive the process. */
  readonly persistent = true;
  /**
   * Runs `fn` while no other process that shares the lock folder holds the lock of the same key. Absent
   * with `lockFolder: false`.
   *
   * Throws `backend_locked` after `lockTimeoutMs`, and the signal's reason when it ends the wait.
   */
  readonly withLock?: <T>(
    key: string,
    fn: () => Promise<T>,
    options?: WithLockOptions<T>,
  ) => Promise<T>;
  readonly #program: Program;
  readonly #lockFolder: string | false;
  readonly #isDefaultFolder: boolean;

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
      env: "object",
      timeoutMs: "timeout",
      lockFolder: options?.lockFolder === false ? "boolean" : "path",
      lockTimeoutMs: "milliseconds",
    });
    const { program, args = [], env, timeoutMs = 30_000, lockFolder, lockTimeoutMs = 30_000 } =
      options;
    if (program === undefined || (isPath(program) && !isAbsolute(program))) {
      throw new CredentialsBackendError(
        "invalid_options",
        `Cannot ${action}: option "program" is neither a name nor an absolute path. Give one.`,
      );
    }
    this.#program = { program, args: [...args], env: env && { ...env }, timeoutMs };
    this.#lockFolder = lockFolder ?? folderOf(credentialsPath());
    this.#isDefaultFolder = lockFolder === undefined;
    const folder = this.#lockFolder;
    if (folder === false) return;
    const name = shortHash([program, ...args].join(" ")); // a copy from one helper to another holds both locks
    // Without a look at the entry between two tries, which would run the program: whoever gets the lock looks.
    this.withLock = (key, fn, { signal } = {}) =>
      withKeyLock(`${folder}/helper.${name}`, key, fn, { signal, timeoutMs: lockTimeoutMs });
  }

  /** The program, by its real path where this process may look for it and else as given, with `args`. */
  get location(): string {
    const { program, args } = this.#program;
    return [locationOfProgram(program), ...args].join(" ");
  }

  /**
   * The entry under `key`, or `undefined` when the helper says that there is none.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_unavailable`,
   * `backend_timeout`, `backend_corrupt`.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    const url = await addressOf(key);
    const answer = await this.#run("get", url);
    if (isNotFound(answer)) return undefined;
    this.#assertGood("get", answer);
    const { ServerURL, Secret } = parseObject(answer.stdout) ?? {};
    const isOurs = ServerURL === undefined || ServerURL === "" || ServerURL === url;
    const stored = typeof Secret === "string" && isOurs ? parseObject(Secret) : undefined;
    const entry = keyOf(url) === undefined && stored?.key === key ? stored.entry : stored;
    if (isObject(entry)) return entry as OidcCredentials;
    const reason = isOurs ? "its answer is not an entry in JSON" : "it gave another entry";
    const advice =
      `Nothing was changed. Check that it is a credential helper; if only this entry ` +
      `is damaged, sign out to remove it.`;
    throw this.#error("backend_corrupt", "read", `${reason}. ${advice}`);
  }

  /**
   * Stores `entry` under `key`, and reads it back.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large` or `backend_unproven`
   * where it gives back less, or something else.
   */
  async put(key: string, entry: OidcCredentials, options: PutOptions = {}): Promise<void> {
    if (options.isReplaced !== undefined && !options.isReplaced(await this.get(key))) return;
    const address = await addressOf(key);
    const secret = secretFor(key, address, entry);
    const account = {
      ServerURL: address,
      Username: userOf(entry),
      Secret: secret,
    };
    this.#assertGood("store", await this.#run("store", JSON.stringify(account)), secretsOf(entry));
    const answer = await this.#run("get", account.ServerURL);
    const stored = isNotFound(answer) ? undefined : parseObject(answer.stdout)?.Secret;
    if (stored === secret) return;
    const { length } = new TextEncoder().encode(secret);
    const isShort = typeof stored === "string" && stored.length < secret.length;
    throw this.#error(
      isShort ? "backend_too_large" : "backend_unproven",
      "write",
      `it took ${length} bytes for "${printable(key)}" and gives back ` +
        `${isShort ? "fewer" : "something else"}. Use another helper or another backend.`,
    );
  }

  /**
   * Removes the entry under `key`, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_denied` where it is still there.
   */
  async delete(key: string): Promise<void> {
    await this.#erase(await addressOf(key));
  }

  /**
   * The keys of all entries of this module. Docker's own logins are in the same list, and left out.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    for (const address of await this.#addresses()) {
      const key = keyOf(address) ?? await this.#keyAt(address);
      if (key !== undefined) yield key;
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

  /** The program, `PATH` where it is given by its name, and for storing the lock folder. */
  requiredPermissions(): BackendPermission[] {
    const { program } = this.#program;
    const needs: BackendPermission[] = [{ name: "run", command: program }];
    if (!isPath(program)) needs.push({ name: "env", variable: "PATH" });
    if (this.#lockFolder === false) return needs;
    return [...needs, ...folderNeeds(this.#lockFolder, this.#isDefaultFolder)];
  }

  async #addresses(): Promise<string[]> {
    const answer = await this.#run("list", "");
    this.#assertGood("list", answer);
    const text = answer.stdout.trim();
    const accounts = text === "null" ? {} : parseObject(text); // Go's empty map
    if (accounts !== undefined) {
      return Object.keys(accounts).map(addressIn).filter((address) => address !== undefined);
    }
    const reason = "its answer is not a JSON object. Check that it is a credential helper.";
    throw this.#error("backend_corrupt", "list", reason);
  }

  async #erase(address: string): Promise<void> {
    const erased = await this.#run("erase", address);
    if (isNotFound(erased) || isNotFound(await this.#run("get", address))) return;
    this.#assertGood("erase", erased);
    const reason = "they are still there after it. Remove them with the program's own tools.";
    throw this.#error("backend_denied", "remove", reason);
  }

  /** The key that stands beside an entry, where its address has only the hash. */
  async #keyAt(address: string): Promise<string | undefined> {
    const answer = await this.#run("get", address);
    if (isNotFound(answer)) return undefined; // removed meanwhile
    this.#assertGood("get", answer);
    const { Secret } = parseObject(answer.stdout) ?? {};
    const { key } = typeof Secret === "string" ? parseObject(Secret) ?? {} : {};
    return typeof key === "string" && await addressOf(key) === address ? key : undefined;
  }

  #run(action: string, input: string): Promise<Ended> {
    return runProgram(this.#program, action, input);
  }

  #assertGood(
    action: string,
    { code, signal, stdout, stderr }: Ended,
    secrets: string[] = [],
  ): void {
    if (code === 0) return;
    const said = [stdout, stderr].map((text) => text.trim().split("\n")[0]!).find((text) =>
      text !== ""
    );
    const end = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
    const clean = said &&
      printable(redact(said, secrets)).replaceAll(/[\w+/=.~-]{40,}/g, "[removed]").replace(
        /\.$/,
        "",
      );
    const words = clean === undefined ? "and said nothing" : `and said: ${clean}`;
    // Go's helpers take no line of more than 64 KiB: "bufio.Scanner: token too long".
    const isTooLarge = action === "store" && /too (long|large|big)/i.test(said ?? "");
    const advice = "Run the program in a terminal to see what it needs.";
    const kind = isTooLarge ? "backend_too_large" : "backend_unavailable";
    throw this.#error(kind, action, `${end}, ${words}. ${advice}`);
  }

  #error(
    code: CredentialsBackendErrorCode,
    action: string,
    words: string,
  ): CredentialsBackendError {
    const message = `Cannot ${action} credentials by ${this.#program.program}: ${words}`;
    return new CredentialsBackendError(code, message);
  }
}

/**
 * Makes the program of a credential helper out of a backend: it does what the last argument says, with
 * JSON on standard input and output, and ends. Errors go to standard output with exit code 1, as docker's
 * own helpers do it.
 *
 * Installed with the permissions of the backend it is a store that runs in a process of its own, by
 * {@linkcode HelperCredentialsBackend}:
 *
 * ```sh
 * deno install --global --no-config --allow-net=vault.example.com --name vm-store store.ts
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
  let answer: string | undefined;
  try {
    answer = await serve(backend, Deno.args.at(-1), await new Response(Deno.stdin.readable).text());
  } catch (error) {
    answer = error instanceof CredentialsBackendError
      ? error.message
      : "the store failed, and its words are left out, since they may quote a token";
    Deno.exitCode = 1;
  }
  if (answer === NOT_FOUND) Deno.exitCode = 1;
  const bytes = new TextEncoder().encode(answer === undefined ? "" : `${answer}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  await backend.close?.();
}
