import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import { isObject } from "../common/parse.ts";
import { printable } from "../common/printable.ts";
import { foreignText, hideQueries, type SettingOrigin } from "./backend_setting.ts";
import type { IsolatedAnswer, IsolatedInfo, IsolatedRequest } from "./isolated_worker.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "../oidc_credentials_backend.ts";
import { untilAborted } from "../common/delay.ts";

export interface IsolatedBackendOptions {
  /** The backend's module, as an address. */
  url: string;
  exportName: string;
  options: Record<string, unknown>;
  /** The places from which the setting was read, for errors. */
  origin: SettingOrigin;
  permissions: Deno.PermissionOptionsObject;
}

/**
 * A backend that runs in a Worker with permissions of its own. They keep honest code within its
 * grant. They are no sandbox: see `LoadBackendOptions.isolate`.
 *
 * The Worker is started for a use and ended with it: Deno would wait for it at the end of the process
 * otherwise. So the backend is made anew each time, and its memory does not last. An answer of the
 * Worker is checked like any text from outside.
 */
export class IsolatedBackend implements OidcCredentialsBackend {
  readonly persistent?: boolean;
  readonly location?: string;
  withLock?: OidcCredentialsBackend["withLock"];
  list?: OidcCredentialsBackend["list"];
  deleteAll?: OidcCredentialsBackend["deleteAll"];
  readonly #options: IsolatedBackendOptions;
  #worker: Promise<Channel> | undefined;
  #uses = 0;
  #locks = 0;

  private constructor(options: IsolatedBackendOptions, info: IsolatedInfo) {
    this.#options = options;
    const { persistent, location, methods } = info;
    if (typeof persistent === "boolean") this.persistent = persistent;
    const place = typeof location === "string" ? location : options.exportName;
    this.location = `${printable(hideQueries(place.slice(0, 1000)))}, in a Worker`;
    const has = (method: string) => Array.isArray(methods) && methods.includes(method);
    if (has("list")) this.list = () => this.#list();
    if (has("deleteAll")) this.deleteAll = () => this.#call("deleteAll");
    if (has("withLock")) this.withLock = (key, fn, options) => this.#withLock(key, fn, options);
  }

  /** Starts the backend once: to see that it loads, and which methods it has. */
  static async load(options: IsolatedBackendOptions): Promise<IsolatedBackend> {
    const channel = new Channel(options.permissions);
    try {
      return new IsolatedBackend(options, await channel.open(options));
    } finally {
      channel.close();
    }
  }

  /** Needs nothing in this process: the Worker has permissions of its own. */
  requiredPermissions(): BackendPermission[] {
    return [];
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await this.#call<unknown>("get", key) ?? undefined;
    if (entry === undefined || isObject(entry)) return entry as OidcCredentials | undefined;
    throw corrupt("an entry that is no object");
  }

  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#call("put", key, entry);
  }

  async delete(key: string): Promise<void> {
    await this.#call("delete", key);
  }

  async *#list(): AsyncGenerator<string> {
    const keys = await this.#call<unknown>("list");
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
      throw corrupt("keys that are no list of strings");
    }
    yield* keys;
  }

  /** One Worker holds the lock and serves all calls under it. */
  async #withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal }: WithLockOptions<T> = {},
  ): Promise<T> {
    const lockId = this.#locks++;
    return await this.#use(async (channel) => {
      const onAbort = () => channel.call("abort", lockId).catch(() => undefined);
      signal?.addEventListener("abort", onAbort, { once: true });
      try {
        await untilAborted(channel.call("lock", key, lockId), signal);
      } catch (error) {
        // It may be acquired in the same moment: the Worker must not end while it holds the lock.
        this.#call("unlock", lockId).catch(() => undefined);
        throw error;
      } finally {
        signal?.removeEventListener("abort", onAbort);
      }
      try {
        return await fn();
      } finally {
        await channel.call("unlock", lockId);
      }
    });
  }

  #call<T = OidcCredentials | undefined>(
    method: IsolatedRequest["method"],
    ...args: unknown[]
  ): Promise<T> {
    return this.#use((channel) => channel.call(method, ...args) as Promise<T>);
  }

  async #use<T>(fn: (channel: Channel) => Promise<T>): Promise<T> {
    this.#uses++;
    this.#worker ??= this.#start();
    const worker = this.#worker;
    try {
      return await fn(await worker);
    } finally {
      if (--this.#uses === 0) {
        this.#worker = undefined;
        worker.then((channel) => channel.close(), () => undefined);
      }
    }
  }

  async #start(): Promise<Channel> {
    const channel = new Channel(this.#options.permissions);
    try {
      await channel.open(this.#options);
      return channel;
    } catch (error) {
      channel.close();
      throw error;
    }
  }
}

/** A call that waits for its answer. */
interface Call extends PromiseWithResolvers<unknown> {
  /** The options or the entry that the Worker was given: an error must not show them. */
  readonly given: unknown;
}

class Channel {
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #last = 0;

  constructor(permissions: Deno.PermissionOptionsObject) {
    // Without --unstable-worker-options Deno ends the process here, with a message that says so.
    this.#worker = new Worker(new URL("./isolated_worker.ts", import.meta.url), {
      type: "module",
      name: "credentials backend",
      deno: { permissions },
    });
    this.#worker.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (isObject(data)) this.#settle(data);
    };
    const fail = () => {
      for (const id of [...this.#calls.keys()]) this.#settle({ id, error: { name: "Error" } });
    };
    this.#worker.onmessageerror = fail;
    this.#worker.onerror = (event) => {
      event.preventDefault();
      fail();
    };
  }

  async open({ url, exportName, options, origin }: IsolatedBackendOptions): Promise<IsolatedInfo> {
    const info = await this.call("open", url, exportName, options, origin);
    return (isObject(info) ? info : {}) as Partial<IsolatedInfo> as IsolatedInfo;
  }

  call(method: IsolatedRequest["method"], ...args: unknown[]): Promise<unknown> {
    const id = ++this.#last;
    const given = method === "open" ? args[2] : args.filter(isObject);
    const call: Call = { ...Promise.withResolvers<unknown>(), given };
    this.#calls.set(id, call);
    this.#worker.postMessage({ id, method, args } satisfies IsolatedRequest);
    return call.promise;
  }

  close(): void {
    this.#worker.terminate();
  }

  /** Ends the call that an answer names. The Worker's code can post anything. */
  #settle({ id, value, error }: Partial<Record<keyof IsolatedAnswer, unknown>>): void {
    const call = this.#calls.get(id as number);
    if (call === undefined) return;
    this.#calls.delete(id as number);
    if (error === undefined) call.resolve(value);
    else call.reject(rebuildError(isObject(error) ? error : {}, call.given));
  }
}

function rebuildError({ name, code, message }: Record<string, unknown>, given: unknown): Error {
  if (typeof code === "string" && typeof message === "string") {
    const known = /^[a-z_]{1,40}$/.test(code) ? code : "backend_unavailable";
    const text = foreignText(message, given);
    return new CredentialsBackendError(known as CredentialsBackendErrorCode, text);
  }
  if (name === "NotCapable") {
    return new CredentialsBackendError(
      "permission_required",
      "Cannot use the isolated credentials backend: it tried an access that its Worker does not " +
        "permit. Extend `isolate` by it, or do not use that backend.",
    );
  }
  const known = typeof name === "string" &&
    (/^[A-Z][A-Za-z]{0,30}(Error|Exception)$/.test(name) || Object.hasOwn(Deno.errors, name));
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot use the isolated credentials backend: it threw ${known ? name : "an error"}, whose ` +
      `text is left out since it may quote a token. Have it throw a CredentialsBackendError.`,
  );
}

function corrupt(found: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_corrupt",
    `Cannot use the isolated credentials backend: it gave ${found}. Repair it, or use another one.`,
  );
}
