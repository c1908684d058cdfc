/** Puts a function in the place of `Deno.openKv` until it is disposed of. */
export function replaceOpenKv(openKv: typeof Deno.openKv | undefined): Disposable {
  const { openKv: original } = Deno;
  const define = (value: unknown) =>
    Object.defineProperty(Deno, "openKv", { value, configurable: true, writable: true });
  define(openKv);
  return { [Symbol.dispose]: () => void define(original) };
}

/**
 * A KV server in this process: a database in memory behind an address. A test says what the server
 * answers when it is asked for its metadata, and what comes before each operation.
 */
export class ScriptedKvServer implements Disposable {
  readonly url = "https://kv.example.com/x";
  /** The authorization of each request for the metadata. */
  readonly asked: (string | null)[] = [];
  answer: (request: Request) => Response | Promise<Response> = () => Response.json({});
  /** Runs before each read and commit. */
  before: (operation: string) => void | Promise<void> = () => {};
  readonly #fetch = globalThis.fetch;
  readonly #openKv: Disposable;

  private constructor(readonly database: Deno.Kv) {
    this.#openKv = replaceOpenKv(() => Promise.resolve(this.#proxy()));
    globalThis.fetch = async (...args) => {
      const request = new Request(...args);
      this.asked.push(request.headers.get("authorization"));
      return await this.answer(request);
    };
  }

  static async open(): Promise<ScriptedKvServer> {
    return new ScriptedKvServer(await Deno.openKv(":memory:"));
  }

  /** Who holds the lease of a key. */
  async holder(key: string): Promise<unknown> {
    const { value } = await this.database.get<{ holder: string }>(this.lease(key));
    return value?.holder;
  }

  lease(key: string): Deno.KvKey {
    return ["validmind", "oidc_lease", key];
  }

  [Symbol.dispose](): void {
    globalThis.fetch = this.#fetch;
    this.#openKv[Symbol.dispose]();
    this.database.close();
  }

  #proxy(): Deno.Kv {
    return new Proxy(this.database, {
      get: (kv, name: keyof Deno.Kv) => {
        if (name === "close") return () => {};
        if (name === "get") {
          return async (key: Deno.KvKey) => {
            await this.before(name);
            return await kv.get(key);
          };
        }
        if (name === "atomic") return () => this.#atomic(kv.atomic());
        return (kv[name] as CallableFunction | undefined)?.bind(kv);
      },
    });
  }

  #atomic(atomic: Deno.AtomicOperation): Deno.AtomicOperation {
    const commit = atomic.commit.bind(atomic);
    atomic.commit = async () => {
      await this.before("commit");
      return await commit();
    };
    return atomic;
  }
}
