import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import type {
  IsolatedAnswer,
  IsolatedFault,
  IsolatedInfo,
  IsolatedRequest,
} from "./isolated_protocol.ts";

/** Node's `process`, by its global: the isolate may import nothing. */
declare const process: { abort(): never };

/**
 * Holds one backend and executes requests. **The text of this function is the program of the isolate**,
 * so it uses nothing from outside itself. The isolate then needs no file, no host and no cache of this
 * package, and can be denied all of them.
 *
 * Its functions are methods of one object: `deno bundle --keep-names` puts a call of a helper, which
 * the isolate lacks, around each function that is declared or that a variable holds.
 *
 * @param send Sends an answer.
 * @returns Takes a request.
 */
function hostBackend(send: (frame: string) => void): (frame: string) => Promise<void> {
  type Held = { release: () => void; done: Promise<unknown>; abort?: AbortController };
  const held = new Map<unknown, Held>();
  let backend: OidcCredentialsBackend;

  const host = {
    async open(url: string, exportName: string, options: unknown): Promise<IsolatedInfo> {
      const module = await host.step("import", () => import(url)) as Record<string, unknown>;
      if (!Object.hasOwn(module, exportName)) {
        const exports = Object.keys(module).join(", ");
        throw host.failed({ name: "Error", step: "export", exports });
      }
      const Backend = module[exportName] as new (options: unknown) => unknown;
      await host.step("class", () => Reflect.construct(Object, [], Backend));
      backend = await host.step(
        "construct",
        () => new Backend(options),
      ) as OidcCredentialsBackend;
      const of = Object(backend) as OidcCredentialsBackend & Record<string, unknown>;
      const known = ["get", "put", "delete", "withLock", "reserve", "list", "deleteAll"];
      return {
        methods: known.filter((name) => typeof of[name] === "function"),
        persistent: of.persistent,
        location: of.location,
      };
    },

    async step(name: NonNullable<IsolatedFault["step"]>, run: () => unknown): Promise<unknown> {
      try {
        const made = run();
        return name === "import" ? await made : made;
      } catch (error) {
        const { message } = Object(error);
        throw host.failed({ ...host.describe(error), message: String(message), step: name });
      }
    },

    failed(fault: IsolatedFault): Error {
      return Object.assign(new Error(), { fault });
    },

    async lock(key: string, id: unknown): Promise<void> {
      const acquired = Promise.withResolvers<void>();
      const end = Promise.withResolvers<void>();
      const abort = new AbortController();
      const options = { signal: abort.signal };
      const done = backend.withLock!(key, () => (acquired.resolve(), end.promise), options);
      held.set(id, { abort, release: end.resolve, done });
      done.then(() => acquired.reject(new Error()), acquired.reject);
      await acquired.promise;
    },

    async reserve(key: string, bytes: number, id: unknown): Promise<void> {
      const reservation = await backend.reserve!(key, bytes);
      const end = Promise.withResolvers<void>();
      const done = end.promise.then(() => reservation[Symbol.asyncDispose]());
      held.set(id, { release: end.resolve, done });
    },

    async release(id: unknown): Promise<void> {
      const one = held.get(id);
      held.delete(id);
      one?.release();
      await one?.done;
    },

    async answer(
      method: IsolatedRequest["method"],
      [first, second, third]: readonly unknown[],
    ): Promise<unknown> {
      switch (method) {
        case "open":
          return await host.open(first as string, second as string, third);
        case "list":
          return await Array.fromAsync(backend.list!());
        case "lock":
          return await host.lock(first as string, second);
        case "reserve":
          return await host.reserve(first as string, second as number, third);
        case "unlock":
        case "release":
          return await host.release(first);
        case "abort":
          return held.get(first)?.abort?.abort();
        case "get":
          return await backend.get(first as string);
        case "put":
          return await backend.put(first as string, second as never);
        case "delete":
          return await backend.delete(first as string);
        case "deleteAll":
          return await backend.deleteAll!();
      }
    },

    describe(error: unknown): IsolatedFault {
      const { name, message, code, fault } = Object(error);
      if (fault !== undefined) return fault;
      if (!(error instanceof Error)) return { name: "something that is no error" };
      return name === "CredentialsBackendError" && typeof code === "string"
        ? { name, code, message }
        : { name };
    },
  };

  return async (frame) => {
    const { id, method, args } = JSON.parse(frame) as IsolatedRequest;
    let done: IsolatedAnswer;
    try {
      done = { id, value: await host.answer(method, args) };
    } catch (error) {
      done = { id, error: host.describe(error) };
    }
    try {
      send(JSON.stringify(done));
    } catch {
      send(JSON.stringify({ id, error: { name: "TypeError" } })); // the value is not JSON
    }
  };
}

/**
 * Serves requests on the pipes of a process, until its parent ends. The pipes carry the protocol
 * alone, so the console is silent. As {@linkcode hostBackend}, it uses nothing from outside itself.
 *
 * @param watcher Code of a Worker that ends this process when it has to end, also while the backend
 * keeps this thread busy.
 */
async function servePipes(host: typeof hostBackend, watcher: string): Promise<void> {
  new Worker(watcher, { type: "module" });
  for (const name of Object.keys(console)) Object.assign(console, { [name]: () => undefined });
  const { stdin, stdout, exit } = Deno;
  const encoder = new TextEncoder();
  const receive = host((frame) => {
    let rest = encoder.encode(`${frame}\n`);
    while (rest.length > 0) rest = rest.subarray(stdout.writeSync(rest));
  });
  let line = "";
  for await (const text of stdin.readable.pipeThrough(new TextDecoderStream())) {
    const [first, ...lines] = text.split("\n");
    const all = [line + first, ...lines];
    line = all.pop()!;
    for (const frame of all) receive(frame);
  }
  exit(0);
}

/**
 * Ends the process once its parent is another one than at its start. Windows keeps a dead parent. It ends
 * the process at SIGUSR1, too, by which Deno opens the inspector to all users of the host. Windows has no
 * such signal.
 */
function watch(parent: number): void {
  const host = {
    end() {
      try {
        Deno.kill(Deno.pid, "SIGKILL");
      } catch {
        // Older Denos ask for the permission to run programs, for a signal to oneself, too.
        process.abort();
      }
    },
    check() {
      if (Deno.ppid !== parent) host.end();
    },
  };
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGUSR1", host.end);
  setInterval(host.check, 500);
  host.check();
}

/** The program of a Worker, as an address. */
export function workerProgram(): string {
  return dataUrl(
    `const receive = (${hostBackend})((frame) => postMessage(frame));` +
      `onmessage = ({ data }) => receive(data);`,
  );
}

/** The program of a process, as an address. */
export function processProgram(): string {
  const watcher = dataUrl(`(${watch})(${Deno.pid});`);
  return dataUrl(`await (${servePipes})(${hostBackend}, ${JSON.stringify(watcher)});`);
}

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
