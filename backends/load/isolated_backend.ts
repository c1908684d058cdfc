import { LONGEST_TIMER_MS, Once, untilAborted } from "../common/promises.ts";
import { isObject, printable } from "../common/printable.ts";
import {
  assertCredentialsBackend,
  CredentialsBackendError,
  keepName,
} from "../credentials_backend_error.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "../oidc_credentials_backend.ts";
import { hideQueries } from "./backend_setting.ts";
import {
  LOAD_STEPS,
  type LoadFault,
  loadFault,
  type ModuleBackend,
  moduleUrl,
  subjectOf,
} from "./import_backend.ts";
import {
  checkIsolation,
  type IsolateOptions,
  type Isolation,
  variableNames,
} from "./isolate_options.ts";
import { Channel, Given, knownCode, rebuildError } from "./isolated_channel.ts";
import type { IsolatedInfo, IsolatedRequest, StartTransport } from "./isolated_protocol.ts";
import { startProcess, startWorker } from "./isolated_transport.ts";

/** A started isolate. It ends with its last use, or stays for the next one. */
interface Isolate {
  readonly opening: Promise<Channel>;
  channel?: Channel;
  uses: number;
}

/**
 * A backend that runs in a Worker or in a Deno of its own. See `IsolateOptions` for the attacks that
 * each holds against. Every answer is checked like any text from outside.
 *
 * A Worker is started for a use and ended with it: Deno would wait for it at the end of this process
 * otherwise. A process is started once: Deno does not wait for it while it has no call, and it ends
 * with this process.
 */
export class IsolatedBackend implements OidcCredentialsBackend {
  static {
    keepName(this, "IsolatedBackend");
  }

  readonly persistent?: boolean;
  readonly location?: string;
  withLock?: OidcCredentialsBackend["withLock"];
  reserve?: OidcCredentialsBackend["reserve"];
  list?: OidcCredentialsBackend["list"];
  deleteAll?: OidcCredentialsBackend["deleteAll"];
  readonly #named: ModuleBackend;
  readonly #isolation: Isolation;
  readonly #given: Given;
  readonly #url: string;
  #isolate: Isolate | undefined;
  #holds = 0;

  private constructor(named: ModuleBackend, isolation: Isolation) {
    this.#named = named;
    this.#isolation = isolation;
    this.#given = new Given(named.options);
    this.#url = moduleUrl(named.specifier);
  }

  /**
   * Starts the backend, to see that it loads, and which methods it has.
   *
   * @throws {CredentialsBackendError} As `importBackend`, and `invalid_options`, `backend_timeout`,
   * `backend_corrupt`, `backend_unavailable`.
   */
  static async load(named: ModuleBackend, options: IsolateOptions): Promise<IsolatedBackend> {
    const backend = new IsolatedBackend(named, checkIsolation(options));
    await backend.#use((channel) => Promise.resolve(channel));
    return backend;
  }

  /** A Worker has permissions of its own. A process needs Deno itself, and the variables it gets. */
  requiredPermissions(): BackendPermission[] {
    const { as, permissions } = this.#isolation;
    if (as === "worker") return [];
    return [
      { name: "run", command: Deno.execPath() },
      ...variableNames(permissions).map((variable) => ({ name: "env" as const, variable })),
    ];
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await this.#call("get", key) ?? undefined;
    if (entry === undefined || isObject(entry)) return entry as OidcCredentials | undefined;
    throw corrupt("an entry that is no object");
  }

  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#call("put", key, entry);
  }

  async delete(key: string): Promise<void> {
    await this.#call("delete", key);
  }

  /** Ends the Worker or the process, and waits for its end. A later use starts it anew. */
  async close(): Promise<void> {
    const isolate = this.#isolate;
    this.#isolate = undefined;
    await (await isolate?.opening.catch(() => undefined))?.end();
  }

  /** As {@linkcode close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #describe(info: Partial<Record<keyof IsolatedInfo, unknown>>): void {
    const { persistent, location, methods } = info;
    const has = (name: string) => Array.isArray(methods) && methods.includes(name);
    const present = ["get", "put", "delete"].filter(has).map((name) => [name, () => undefined]);
    assertCredentialsBackend(Object.fromEntries(present), subjectOf(this.#named));
    const self = this as { -readonly [Name in keyof this]: this[Name] };
    if (typeof persistent === "boolean") self.persistent = persistent;
    const place = typeof location === "string" ? location : this.#named.exportName;
    const where = this.#isolation.as === "worker" ? "in a Worker" : "in a process";
    self.location = `${printable(hideQueries(place.slice(0, 1000)))}, ${where}`;
    if (has("list")) this.list = () => this.#list();
    if (has("deleteAll")) this.deleteAll = async () => void await this.#call("deleteAll");
    if (has("withLock")) this.withLock = (key, fn, options) => this.#withLock(key, fn, options);
    if (has("reserve")) this.reserve = (key, bytes) => this.#reserve(key, bytes);
  }

  async *#list(): AsyncGenerator<string> {
    const keys = await this.#call("list");
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
      throw corrupt("keys that are no list of strings");
    }
    yield* keys;
  }

  /** One isolate holds the lock and serves all calls under it. */
  async #withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal }: WithLockOptions<T> = {},
  ): Promise<T> {
    const id = this.#holds++;
    return await this.#use(async (channel) => {
      await this.#lock(channel, key, id, signal);
      try {
        return await fn();
      } finally {
        await channel.call("unlock", id);
      }
    });
  }

  async #lock(channel: Channel, key: string, id: number, signal?: AbortSignal): Promise<void> {
    const limit = new AbortController();
    const { lockTimeoutMs: ms } = this.#isolation;
    const timer = setTimeout(() => limit.abort(locked(ms)), Math.min(ms, LONGEST_TIMER_MS));
    const either = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
    const onAbort = () => channel.call("abort", id).catch(() => undefined);
    either.addEventListener("abort", onAbort, { once: true });
    try {
      await untilAborted(channel.call("lock", key, id), either);
    } catch (error) {
      // It may be acquired in the same moment: the isolate must not end while it holds the lock.
      this.#use((same) => same === channel ? same.call("unlock", id) : Promise.resolve())
        .catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(timer);
      either.removeEventListener("abort", onAbort);
    }
  }

  /** The isolate lives until the reservation ends. */
  async #reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    const id = this.#holds++;
    const isolate = this.#enter();
    try {
      await (await isolate.opening).call("reserve", key, bytes, id);
    } catch (error) {
      this.#leave(isolate);
      throw error;
    }
    const ending = new Once<void>();
    const end = async () => {
      try {
        await isolate.channel?.call("release", id);
      } finally {
        this.#leave(isolate);
      }
    };
    return { [Symbol.asyncDispose]: () => ending.kept ?? ending.keep(end()) };
  }

  #call(method: IsolatedRequest["method"], ...args: unknown[]): Promise<unknown> {
    return this.#use((channel) => channel.call(method, ...args));
  }

  async #use<T>(fn: (channel: Channel) => Promise<T>): Promise<T> {
    const isolate = this.#enter();
    try {
      const channel = await isolate.opening;
      channel.keepAlive(true);
      return await fn(channel);
    } finally {
      this.#leave(isolate);
    }
  }

  /** An isolate that ends while it is used serves no more, and is not replaced: it may hold a lock. */
  #enter(): Isolate {
    let isolate = this.#isolate;
    if (isolate === undefined || (isolate.uses === 0 && isolate.channel?.isEnded)) {
      const made: Isolate = { opening: this.#open(), uses: 0 };
      made.opening.then((channel) => made.channel = channel, () => undefined);
      isolate = this.#isolate = made;
    }
    isolate.uses++;
    return isolate;
  }

  #leave(isolate: Isolate): void {
    if (--isolate.uses > 0) return;
    const { channel } = isolate;
    const isKept = this.#isolation.as === "process" && this.#isolate === isolate;
    if (isKept && channel !== undefined && !channel.isEnded) return channel.keepAlive(false);
    if (this.#isolate === isolate) this.#isolate = undefined;
    channel?.end();
  }

  async #open(): Promise<Channel> {
    const { exportName, options } = this.#named;
    const channel = new Channel(this.#transport(), this.#isolation, {
      note: (value) => this.#given.add(value),
      rebuild: (fault) => this.#rebuild(fault),
    });
    try {
      const info = await channel.call("open", this.#url, exportName, options);
      if (this.location === undefined) this.#describe(isObject(info) ? info : {});
      return channel;
    } catch (error) {
      await channel.end();
      throw error;
    }
  }

  #rebuild(fault: Record<string, unknown>): CredentialsBackendError {
    const { step, name, code, message, exports } = fault;
    const isStep = LOAD_STEPS.some((known) => known === step);
    if (!isStep) return rebuildError(fault, this.#given);
    return loadFault(
      {
        step: step as LoadFault["step"],
        ...(typeof name === "string" && { name }),
        ...(typeof message === "string" && { message }),
        ...(typeof code === "string" && { code: knownCode(code) }),
        ...(typeof exports === "string" && { exports }),
      },
      this.#named,
      true,
    );
  }

  #transport(): StartTransport {
    const { as, permissions } = this.#isolation;
    return as === "worker" ? startWorker(permissions) : startProcess(permissions);
  }
}

function locked(ms: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot use the isolated credentials backend: it did not give its lock within ${ms} ms. End ` +
      "the process that holds it, or try again.",
  );
}

function corrupt(found: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_corrupt",
    `Cannot use the isolated credentials backend: it gave ${found}. Repair it, or use another one.`,
  );
}
