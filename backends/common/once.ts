/**
 * A promised value that is made at the first call and kept for the next ones. A failure is not kept:
 * the next call tries again.
 *
 * @example
 * ```ts ignore
 * readonly #store = new Once<Store>();
 * const open = () => this.#store.get(() => openStore(path));
 * ```
 */
export class Once<T> {
  #kept: Promise<T> | undefined;

  get kept(): Promise<T> | undefined {
    return this.#kept;
  }

  /** The kept promise; where there is none, the one that `make` gives. */
  get(make: () => Promise<T>): Promise<T> {
    return this.#kept ?? this.keep(Promise.try(make));
  }

  /** Keeps a promise in place of the earlier one, until it fails. */
  keep(coming: Promise<T>): Promise<T> {
    this.#kept = coming;
    coming.catch(() => {
      if (this.#kept === coming) this.#kept = undefined;
    });
    return coming;
  }

  /** Forgets the promise, and gives it to the caller, for instance to close its value. */
  forget(): Promise<T> | undefined {
    const forgotten = this.#kept;
    this.#kept = undefined;
    return forgotten;
  }
}
