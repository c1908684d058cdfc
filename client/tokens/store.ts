import { describeBackend } from "../../backends/common/describe_backend.ts";
import { backendError, rememberEntry } from "../../backends/common/foreign_error.ts";
import { probeKey, provesWrites } from "../../backends/common/marks.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  MaybePromise,
  OidcCredentials,
  PutOptions,
  WithLockOptions,
} from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import { type Grant, StoredCredential, type Unstored } from "./stored_credential.ts";

/** One credential in a backend: reads it, changes it, and keeps an entry that could not be written. */
export class CredentialStore extends StoredCredential {
  /** The entry, after a further try of an unsuccessful write; `undefined` when there is none. */
  async load(): Promise<OidcCredentials | undefined> {
    return await this.withLock(() => this.loadLocked()).catch(() => this.unstored ?? this.read());
  }

  /** The same, for a caller that holds the lock. */
  async loadLocked(): Promise<OidcCredentials | undefined> {
    const unstored = this.kept;
    if (!unstored) return await this.read();
    const { entry, replaces } = unstored;
    let isStored: boolean;
    try {
      isStored = await this.#putOver(entry, replaces);
    } catch {
      return entry; // its first failure was reported; the next use tries again
    }
    if (this.kept === unstored) this.shared.unstored.delete(this.key);
    if (isStored) return entry;
    return await this.read();
  }

  /** The entry while another process holds the lock. Reports no fault. */
  async peek(): Promise<OidcCredentials | undefined> {
    if (this.unstored) return undefined;
    return await this.read().catch(() => undefined);
  }

  /**
   * Stores the entry of a new sign-in, whatever is stored. Under the lock, since a refresh may run. Where it
   * cannot be written, it later replaces only the entry that was there then. If that cannot be read, it
   * replaces the one from before the sign-in. So a later sign-out or sign-in of another process wins.
   *
   * @param faultIn What prevents the write, by the present entry.
   * @returns The fault, where there is one.
   */
  async saveNew<T>(
    entry: OidcCredentials,
    before: OidcCredentials | undefined,
    faultIn?: (present: OidcCredentials | undefined) => T,
  ): Promise<T | undefined> {
    const look = () => this.read().catch(() => before); // nothing waits for it while the write succeeds
    let present = look();
    const check = async () => faultIn?.(this.unstored ?? await present);
    const { signOuts } = this;
    try {
      const fault = await this.withLock(async () => {
        present = look(); // a refresh that had the lock may have stored its tokens
        const fault = await check();
        if (!fault) await this.#put(entry).catch(() => this.#put(entry));
        return fault;
      });
      if (!fault) this.shared.unstored.delete(this.key);
      return fault;
    } catch (error) {
      const fault = await check(); // nothing has checked it where the lock was not to be had
      if (fault) return fault;
      throw this.#keepUnstored(entry, [grantOf(await present)], signOuts, error);
    }
  }

  /**
   * Stores an entry in the place of another one, and of no other grant: a sign-out or a new sign-in that
   * came in between wins. Then the result is `false`, and the entry was not stored. Where it cannot be
   * written, it is kept in this process.
   */
  async replace(entry: OidcCredentials, replaced: OidcCredentials | undefined): Promise<boolean> {
    const unstored = this.kept;
    const own = [replaced, entry].map(grantOf);
    // A sign-in came in between, and could not be stored yet.
    if (unstored && !own.includes(grantOf(unstored.entry))) return false;
    // Also the states of an unstored entry, which it follows.
    const replaces = [grantOf(replaced), ...unstored?.replaces ?? []];
    const { signOuts } = this;
    try {
      const isStored = await this.#putOver(entry, replaces);
      if (isStored && !this.#makeWay(entry, unstored)) this.shared.unstored.delete(this.key);
      return isStored;
    } catch (error) {
      if (this.#makeWay(entry, unstored)) return false;
      throw this.#keepUnstored(entry, replaces, signOuts, error);
    }
  }

  /**
   * Makes way for an entry that was kept during a write: it may replace what was written.
   *
   * @param unstored The entry that was kept before the write.
   * @returns Whether there is such an entry, or a sign-out came in between.
   */
  #makeWay(entry: OidcCredentials, unstored: Unstored | undefined) {
    const kept = this.kept;
    if (kept === unstored) return false;
    kept?.replaces.push(grantOf(entry));
    return true;
  }

  /** Signs out: removes the entry, and ends the sessions of this process that use it. */
  async signOut(): Promise<void> {
    await this.remove();
    this.shared.signOut(this.key);
    const probe = new CredentialStore(this.backend, await probeKey(this.key));
    await probe.#delete().catch(() => undefined); // the entry is gone, which is what counts
  }

  /** Removes the entry, stored or not. */
  async remove(): Promise<void> {
    this.shared.unstored.delete(this.key);
    await this.#delete();
  }

  /** Removes the whole store, where the backend can: the way out of a store that cannot be read. */
  async removeAll(): Promise<void> {
    this.shared.unstored.clear();
    await this.#guard("delete", () => this.backend.deleteAll?.());
    this.shared.signOut();
  }

  /** Runs `fn` alone, as widely as the backend can lock. */
  async withLock<T>(fn: () => Promise<T>, options: WithLockOptions<T> = {}): Promise<T> {
    let own: Promise<T> | undefined;
    const run = () => own = fn();
    try {
      if (this.backend.withLock) return await this.backend.withLock(this.key, run, options);
      return await this.shared.queue.run(this.key, run, options.signal);
    } catch (error) {
      // The result of `fn` counts, also where the lock could not be released after it.
      if (own) return await own;
      throw backendError("lock credentials in", this.backend, error);
    }
  }

  /** Whether only a probe proves that the store can be written. */
  get needsProbe(): boolean {
    return this.backend.persistent !== false && !provesWrites(this.backend);
  }

  /**
   * Proves, under the lock, that an entry can be written, read and removed. The present entry is not
   * written again in its own place: that would undo a sign-out.
   *
   * @param length The length of the entry.
   */
  async probe(length = 5): Promise<void> {
    const probe = new CredentialStore(this.backend, await probeKey(this.key));
    const expires_at = new Date(0).toISOString();
    const access_token = "x".repeat(length);
    let read: OidcCredentials | undefined;
    try {
      await probe.#put({ issuer: "probe", client_id: "probe", access_token, expires_at });
      read = await probe.read();
    } finally {
      await probe.#delete();
    }
    if (read?.access_token === access_token && await probe.read() === undefined) return;
    throw new CredentialsBackendError("backend_unproven", {
      action: `keep tokens in ${describeBackend(this.backend)}`,
      reason: "a test entry did not come back as it was written, or was still there after its " +
        "removal",
      remedy: "Repair the backend, or use another one.",
    });
  }

  /**
   * Stores an entry over some states of the store, or not at all. A sign-out that got no lock may come at
   * any moment, so the backend compares at the write. A fault is tried once more at once, since it may
   * pass; the write may be done all the same, so the entry's own grant counts as replaced, too.
   */
  async #putOver(entry: OidcCredentials, replaces: readonly Grant[]) {
    const own = grantOf(entry);
    const isReplaced = (present: OidcCredentials | undefined) => {
      const grant = grantOf(present);
      return grant === own || replaces.includes(grant);
    };
    const attempt = async () => {
      // Not every other store compares.
      if (!provesWrites(this.backend) && !isReplaced(await this.read())) return false;
      const isStored = await this.#put(entry, { isReplaced });
      return isStored !== false;
    };
    return await attempt().catch(attempt);
  }

  /**
   * Keeps an entry in this process until a later use can store it, unless somebody has signed out here
   * meanwhile. Gives the error that says so.
   */
  #keepUnstored(
    entry: OidcCredentials,
    replaces: Grant[],
    signOuts: number,
    error: unknown,
  ) {
    if (signOuts === this.signOuts) this.shared.unstored.set(this.key, { entry, replaces });
    const cause = backendError("write to", this.backend, error);
    return new ValidMindAuthError("credentials_not_stored", {
      action: `store the new tokens in ${describeBackend(this.backend)}`,
      reason: `${cause.message} The tokens stay usable in this process`,
      remedy: "Each use tries to store them again. A new process may have to sign in.",
      cause,
    });
  }

  async #put(entry: OidcCredentials, options?: PutOptions) {
    rememberEntry(entry);
    const put = () => this.backend.put(this.key, entry, options);
    return await this.#guard("write credentials to", put);
  }

  async #delete() {
    await this.#guard("delete credentials from", () => this.backend.delete(this.key));
  }

  async #guard<T>(action: string, run: () => MaybePromise<T>) {
    try {
      return await run();
    } catch (error) {
      throw backendError(action, this.backend, error);
    }
  }
}

/** The grant of an entry: two entries with the same one are the same state of one sign-in. */
export function grantOf(entry: OidcCredentials | undefined): Grant {
  // A backend gives its rows to `isReplaced` as they are.
  return [entry?.refresh_token, entry?.access_token].find((token) => typeof token === "string");
}
