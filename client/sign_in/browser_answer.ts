/** The parameters that no answer may have twice. */
const SINGLE = ["state", "code", "error", "iss"];

/** The reason why an answer is not taken. */
export type AnswerFault = "no_answer" | "other_sign_in" | "spent" | "over";

/**
 * The one answer that a sign-in in the browser waits for. It may come to the listener, or be handed in by
 * the person. The first one that carries the sign-in's own state is taken, and nothing else changes the
 * wait.
 */
export class BrowserAnswer {
  readonly #state: string;
  readonly #taken = Promise.withResolvers<URLSearchParams>();
  #isTaken = false;
  #isOver = false;

  /** @param state The state of the request. Secret. */
  constructor(state: string) {
    this.#state = state;
  }

  /** The answer, once it is there. */
  get taken(): Promise<URLSearchParams> {
    return this.#taken.promise;
  }

  /** Hands in the parameters of an address. Gives the reason where they are not taken. */
  offer(parameters: URLSearchParams): AnswerFault | undefined {
    const isAnswer = parameters.has("code") || parameters.has("error");
    const isSingle = SINGLE.every((name) => parameters.getAll(name).length <= 1);
    const state = parameters.get("state");
    if (!isAnswer || !isSingle || state === null) return "no_answer";
    if (!isEqual(state, this.#state)) return "other_sign_in";
    if (this.#isTaken) return "spent";
    if (this.#isOver) return "over";
    this.#isTaken = true;
    this.#taken.resolve(parameters);
    return undefined;
  }

  /** Takes no answer any more: nobody waits for it. */
  end(): void {
    this.#isOver = true;
  }
}

/** Compares without telling by the time how much of the two is equal. */
function isEqual(one: string, other: string): boolean {
  const encoder = new TextEncoder();
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  let difference = a.length ^ b.length;
  for (let at = 0; at < b.length; at++) difference |= (a[at] ?? 0) ^ b[at]!;
  return difference === 0;
}

/**
 * The parameters of an address as a person copies it: whole, or from its question mark on.
 *
 * @returns `undefined` for any other text.
 */
export function parametersOf(address: string): URLSearchParams | undefined {
  const text = address.trim().replace(/^<|>$/g, "");
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.searchParams;
  return /^\??[\w.~-]+=[^\s]*$/.test(text) ? new URLSearchParams(text) : undefined;
}
