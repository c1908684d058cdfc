import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "../credentials_backend_error.ts";
import type { SettingOrigin } from "./backend_setting.ts";
import type { IsolatedAnswer, IsolatedInfo, IsolatedRequest } from "./isolated_worker.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "../oidc_credentials_backend.ts";
import { untilAborted } from "../common/delay.ts";

/** What is run in a Worker, and with which permissions. */
export interface IsolatedBackendOptions {
  /** The backend's module, as an address. */
  url: string;
  exportName: string;
  /** Given to the backend's constructor. */
  options: Record<string, unknown>;
  /** The places from which the setting was read, for errors. */
  origin: SettingOrigin;
  /** All that the Worker may do. */
  permissions: Deno.PermissionOptionsObject;
}

/**
 * A backend that runs in a Worker with permissions of its own. The Worker is started for a use and
 * ended with it: Deno would wait for it at the end of the process otherwise. So the backend is made
 * anew each time, and what it keeps in memory does not last.
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
    if (info.persistent !== undefined) this.persistent = info.persistent;
    this.location = `${info.location ?? options.exportName}, in a Worker`;
    if (info.methods.includes("list")) this.list = () => this.#list();
    if (info.methods.includes("deleteAll")) this.deleteAll = () => this.#call("deleteAll");
    if (info.methods.includes("withLock")) {
      this.withLock = (key, fn, options) => this.#withLock(key, fn, options);
    }
  }

  /** Starts the backend once, to see that it loads and what it can. */
  static async load(options: IsolatedBackendOptions): Promise<IsolatedBackend> {
    const channel = new Channel(options.permissions);
    try {
      return new IsolatedBackend(options, await channel.open(options));
    } finally {
      channel.close();
    }
  }

  /** Nothing in this process: the Worker has grants of its own. */
  requiredPermissions(): BackendPermission[] {
    return [];
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    return await this.#call("get", key) ?? undefined;
  }

  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#call("put", key, entry);
  }

  async delete(key: string): Promise<void> {
    await this.#call("delete", key);
  }

  async *#list(): AsyncGenerator<string> {
    yield* await this.#call<string[]>("list");
  }

  /** One Worker holds the lock and serves what is done under it. */
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
        // It may have been had in the same moment: it must not end with the Worker, still locked.
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

/** Calls to one Worker. */
class Channel {
  readonly #worker: Worker;
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>();
  #last = 0;

  constructor(permissions: Deno.PermissionOptionsObject) {
    // Without --unstable-worker-options Deno ends the process here, with a message that says so.
    this.#worker = new Worker(new URL("./isolated_worker.ts", import.meta.url), {
      type: "module",
      name: "credentials backend",
      deno: { permissions },
    });
    this.#worker.onmessage = ({ data }: MessageEvent<IsolatedAnswer>) => this.#settle(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      for (const id of [...this.#calls.keys()]) this.#settle({ id, error: { name: "Error" } });
    };
  }

  async open(
    { url, exportName, options, origin }: IsolatedBackendOptions,
  ): Promise<IsolatedInfo> {
    return await this.call("open", url, exportName, options, origin) as IsolatedInfo;
  }

  call(method: IsolatedRequest["method"], ...args: unknown[]): Promise<unknown> {
    const id = ++this.#last;
    const call = Promise.withResolvers<unknown>();
    this.#calls.set(id, call);
    this.#worker.postMessage({ id, method, args } satisfies IsolatedRequest);
    return call.promise;
  }

  close(): void {
    this.#worker.terminate();
  }

  #settle({ id, value, error }: IsolatedAnswer): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(rebuildError(error));
  }
}

function rebuildError({ name, code, message }: NonNullable<IsolatedAnswer["error"]>): Error {
  if (code !== undefined) {
    return new CredentialsBackendError(code as CredentialsBackendErrorCode, message ?? "");
  }
  const isDenied = name === "NotCapable";
  return new CredentialsBackendError(
    isDenied ? "permission_required" : "backend_unavailable",
    isDenied
      ? "Cannot use the isolated credentials backend: it tried what its Worker may not do. Extend " +
        "`isolate` if it should, or do not use that backend."
      : `Cannot use the isolated credentials backend: it threw ${name}, whose text is left out ` +
        `since it may quote a token. Have it throw a CredentialsBackendError.`,
  );
}
