import { IsolatedBackend } from "../../../backends/load/isolated_backend.ts";
import { testCredentialsBackend } from "../../../backends/testing.ts";
import { tempDir } from "../../support/temp_home.ts";

/**
 * Keeps entries in one file each, under a lock that is a folder. Names are hexadecimal: Windows does not
 * tell "a" from "A", and permits no "*". They are short: a whole path there has 260 characters.
 */
const MODULE = `
export class Store {
  persistent = true;
  #folder;
  constructor({ folder }) { this.#folder = folder; this.location = folder; }
  #path(key) { return this.#folder + "/" + new TextEncoder().encode(key).toHex().slice(-120); }
  get(key) {
    try { return JSON.parse(Deno.readTextFileSync(this.#path(key))).entry; } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
  put(key, entry) { Deno.writeTextFileSync(this.#path(key), JSON.stringify({ key, entry })); }
  delete(key) { if (this.get(key)) Deno.removeSync(this.#path(key)); }
  async *list() {
    for (const { name } of Deno.readDirSync(this.#folder)) {
      if (!name.endsWith(".lock")) yield JSON.parse(Deno.readTextFileSync(this.#folder + "/" + name)).key;
    }
  }
  async withLock(key, fn, { signal } = {}) {
    const lock = this.#path(key) + ".lock";
    for (;;) {
      signal?.throwIfAborted();
      try { Deno.mkdirSync(lock); break; } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    try { return await fn(); } finally { Deno.removeSync(lock); }
  }
}
`;

let folder: ReturnType<typeof tempDir> | undefined;

async function open(): Promise<IsolatedBackend> {
  folder ??= tempDir();
  const { path } = await folder;
  await Deno.mkdir(`${path}/rows`, { recursive: true });
  await Deno.writeTextFile(`${path}/store.js`, MODULE);
  const rows = `${path}/rows`;
  const named = {
    specifier: `${path}/store.js`,
    exportName: "Store",
    options: { folder: rows },
    origin: { name: "NAME", options: "OPTIONS" },
  };
  return await IsolatedBackend.load(named, {
    as: "process",
    read: [named.specifier, rows],
    write: [rows],
  });
}

testCredentialsBackend("isolated process", open, {
  teardown: async () => {
    await (await folder)?.[Symbol.asyncDispose]();
    folder = undefined;
  },
});
