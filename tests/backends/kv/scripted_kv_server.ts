import { replace } from "../../support/replace.ts";

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
  readonly #replaced: Disposable[];

  private constructor(readonly database: Deno.Kv) {
    const ask = async (...args: Parameters<typeof fetch>) => {
      const request = new Request(...args);
      this.asked.push(request.headers.get("authorization"));
      return await this.answer(request);
    };
    this.#replaced = [
      replace(Deno, "openKv", () => Promise.resolve(this.#proxy())),
      replace(globalThis, "fetch", ask),
    ];
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
    for (const one of this.#replaced) one[Symbol.dispose]();
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
