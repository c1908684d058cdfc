import type { OidcCredentials, OidcCredentialsBackend, WithLockOptions } from "@validmind/auth";
import { DatabaseSync } from "node:sqlite";

/** Keeps entries in SQLite. A row for each key is the lock. The row of a killed process expires. */
export class SqliteStore implements OidcCredentialsBackend {
  readonly persistent = true;
  readonly #path: string;
  readonly #leaseMs: number;
  readonly #db: DatabaseSync;

  constructor({ path, leaseMs = 25_000 }: { path: string; leaseMs?: number }) {
    Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close(); // for its owner alone
    this.#path = path;
    this.#leaseMs = leaseMs;
    this.#db = new DatabaseSync(path, { timeout: 10_000 });
    this.#db.exec(`
      CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, entry TEXT);
      CREATE TABLE IF NOT EXISTS locks (key TEXT PRIMARY KEY, holder TEXT, until INTEGER)`);
  }

  get(key: string): OidcCredentials | undefined {
    const row = this.#db.prepare("SELECT entry FROM entries WHERE key = ?").get(key);
    return row && JSON.parse(String(row.entry));
  }

  put(key: string, entry: OidcCredentials): void {
    const text = JSON.stringify(entry);
    this.#db.prepare("INSERT OR REPLACE INTO entries VALUES (?, ?)").run(key, text);
  }

  delete(key: string): void {
    this.#db.prepare("DELETE FROM entries WHERE key = ?").run(key);
  }

  async *list(): AsyncGenerator<string> {
    for (const { key } of this.#db.prepare("SELECT key FROM entries").all()) yield String(key);
  }

  async withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>): Promise<T> {
    const holder = crypto.randomUUID();
    while (!this.#take(key, holder)) {
      await new Promise((resolve) => setTimeout(resolve, 20 + 30 * Math.random()));
      options?.signal?.throwIfAborted();
    }
    try {
      return await fn();
    } finally {
      this.#db.prepare("DELETE FROM locks WHERE key = ? AND holder = ?").run(key, holder);
    }
  }

  #take(key: string, holder: string): boolean {
    const take = this.#db.prepare(`INSERT INTO locks VALUES (?, ?, ?) ON CONFLICT (key)
      DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE until < ?`);
    const now = Date.now();
    return Number(take.run(key, holder, now + this.#leaseMs, now).changes) > 0;
  }

  requiredPermissions(): Deno.PermissionDescriptor[] {
    return [{ name: "read", path: this.#path }, { name: "write", path: this.#path }];
  }

  close(): void {
    this.#db.close();
  }
}
