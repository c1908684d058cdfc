/** The parameters that no answer may have twice. */
const SINGLE = ["state", "code", "error", "iss"];

/** The reasons why an answer is not taken, for the person who copied its address. */
const FOREIGN =
  "it is not from this sign-in. Open the link that is shown now, and copy the whole address of the " +
  "last page, with state and code in it";
const OVER = "its sign-in has ended. Sign in again";
export const SPENT = "it was used already. Wait, or sign in again";

/**
 * The one answer that a sign-in in the browser waits for. It may come to the listener, or be handed in by
 * the person. The first one that carries the sign-in's own state is taken, and nothing else changes the
 * wait.
 */
export class BrowserAnswer {
  readonly #state: string;
  readonly #taken = Promise.withResolvers<URLSearchParams>();
  /** The reason why no more answers are taken. */
  #closed: string | undefined;

  /** @param state The state of the request. Secret. */
  constructor(state: string) {
    this.#state = state;
  }

  /** The answer, once it is there. */
  get taken(): Promise<URLSearchParams> {
    return this.#taken.promise;
  }

  /** Hands in the parameters of an address. Gives the reason where they are not taken. */
  offer(parameters: URLSearchParams): string | undefined {
    const isAnswer = parameters.has("code") || parameters.has("error");
    const isSingle = SINGLE.every((name) => parameters.getAll(name).length <= 1);
    if (!isAnswer || !isSingle || parameters.get("state") !== this.#state) return FOREIGN;
    if (this.#closed !== undefined) return this.#closed;
    this.#closed = SPENT;
    this.#taken.resolve(parameters);
    return undefined;
  }

  /** Takes no answer any more: nobody waits for it. */
  end(): void {
    this.#closed ??= OVER;
  }
}

/** The parameters of an address as a person copies it: whole, or from its question mark on. */
export function parametersOf(address: string): URLSearchParams {
  const text = address.trim().replace(/^<|>$/g, "");
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.searchParams;
  return new URLSearchParams(/^\??[\w.~-]+=[^\s]*$/.test(text) ? text : "");
}
