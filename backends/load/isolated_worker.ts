// Runs in a Worker: holds one backend, and executes the requests of `IsolatedBackend`.
import { importBackend } from "./import_backend.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** A request of the main side. */
export interface IsolatedRequest {
  id: number;
  method: "open" | "get" | "put" | "delete" | "list" | "deleteAll" | "lock" | "unlock" | "abort";
  args: unknown[];
}

/** An answer of the Worker. An error travels by its name. A coded one has its code and text, too. */
export interface IsolatedAnswer {
  id: number;
  value?: unknown;
  error?: { name: string; code?: string; message?: string };
}

/** The backend's description for the main side. */
export interface IsolatedInfo {
  methods: string[];
  persistent: boolean | undefined;
  location: string | undefined;
  requiredPermissions: Deno.PermissionDescriptor[] | undefined;
}

interface Lock {
  abort: AbortController;
  release: () => void;
  done: Promise<void>;
}

interface Scope {
  onmessage: ((event: MessageEvent<IsolatedRequest>) => void) | null;
  postMessage(answer: IsolatedAnswer): void;
}

const scope = globalThis as unknown as Scope;
const locks = new Map<unknown, Lock>();
let backend: OidcCredentialsBackend;

scope.onmessage = async ({ data: { id, method, args } }) => {
  try {
    scope.postMessage({ id, value: await answer(method, args) });
  } catch (error) {
    scope.postMessage({ id, error: describeError(error) });
  }
};

async function answer(method: IsolatedRequest["method"], args: unknown[]): Promise<unknown> {
  switch (method) {
    case "open":
      return await open(...args as Parameters<typeof importBackend>);
    case "list":
      return await Array.fromAsync(backend.list!());
    case "lock":
      return await lock(args[0] as string, args[1]);
    case "unlock":
      return await unlock(args[0]);
    case "abort":
      return locks.get(args[0])?.abort.abort();
    default:
      return await (backend[method] as (...args: unknown[]) => unknown)(...args);
  }
}

async function open(...args: Parameters<typeof importBackend>): Promise<IsolatedInfo> {
  backend = await importBackend(...args);
  const optional = ["withLock", "list", "deleteAll"] as const;
  return {
    methods: optional.filter((name) => typeof backend[name] === "function"),
    persistent: backend.persistent,
    location: backend.location,
    requiredPermissions: backend.requiredPermissions?.(),
  };
}

async function lock(key: string, lockId: unknown): Promise<void> {
  const acquired = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const abort = new AbortController();
  const hold = () => {
    acquired.resolve();
    return held.promise;
  };
  const done = backend.withLock!(key, hold, { signal: abort.signal });
  locks.set(lockId, { abort, release: held.resolve, done });
  done.catch(acquired.reject);
  await acquired.promise;
}

async function unlock(lockId: unknown): Promise<void> {
  const held = locks.get(lockId);
  locks.delete(lockId);
  held?.release();
  await held?.done;
}

function describeError(error: unknown): NonNullable<IsolatedAnswer["error"]> {
  if (!(error instanceof Error)) return { name: "something that is no error" };
  const { name, message } = error;
  const { code } = error as { code?: unknown };
  return name === "CredentialsBackendError" && typeof code === "string"
    ? { name, code, message }
    : { name };
}
