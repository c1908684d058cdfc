/** An option or a call in a message. Code and command line have different words for it. */
export interface Term {
  readonly kind: "option" | "call";
  readonly name: string;
  /** The value of an option, or the options of a call. */
  readonly value?: unknown;
  /** The variable that stands in for an option. */
  readonly variable?: string;
  readonly inCode: string;
}

/** The words for a term; `undefined` for those of code. */
export type Vocabulary = (term: Term) => string | undefined;

/** A message with the options and calls that it names, kept apart. As a string it speaks of code. */
export class Words {
  readonly #parts: readonly (string | Term)[];

  constructor(parts: readonly (string | number | Term | Words)[]) {
    this.#parts = parts.flatMap((part) =>
      part instanceof Words ? part.#parts : typeof part === "number" ? String(part) : part
    );
  }

  /** The message in other words. */
  in(vocabulary: Vocabulary): string {
    const wordFor = (term: Term) => vocabulary(term) ?? term.inCode;
    return this.#parts.map((part) => typeof part === "string" ? part : wordFor(part)).join("");
  }

  toString(): string {
    return this.in(() => undefined);
  }
}

/** A message, with or without terms. Holds no secret. */
export type Message = string | Words;

/**
 * A tag that makes a message of text and terms: see {@linkcode option} and {@linkcode call}. A line
 * break in the template, with the spaces after it, counts as one space.
 */
export function words(
  texts: TemplateStringsArray,
  ...values: (string | number | Term | Words)[]
): Words {
  const part = (text: string) => text.replace(/\n\s*/g, " ");
  return new Words(texts.flatMap((text, at) => [part(text), ...values.slice(at, at + 1)]));
}

/** An option in a message, such as `flow: "device" (VM_OIDC_FLOW)`. */
export function option(
  name: string,
  { value, variable }: { value?: string | boolean; variable?: string } = {},
): Term {
  const given = value === undefined ? name : `${name}: ${JSON.stringify(value)}`;
  const inCode = variable === undefined ? given : `${given} (${variable})`;
  return { kind: "option", name, value, ...(variable !== undefined && { variable }), inCode };
}

/** A call in a message, such as `clearOidcCredentials({ all: true })`. */
export function call(
  name: string,
  options: Readonly<Record<string, unknown>> = {},
  inCode: string = `${name}(${callOptions(options)})`,
): Term {
  return { kind: "call", name, value: options, inCode };
}

function callOptions(options: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(options).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{ ${pairs.join(", ")} }`;
}

export const KEPT = new WeakMap<Error, Words>();

/** The message of an error with its terms, to be a part of another message. */
export function wordsOf(error: Error): Message {
  return KEPT.get(error) ?? error.message;
}

/** The message of an error in other words, such as those of the command line. */
export function messageFor(error: Error, vocabulary: Vocabulary): string {
  return KEPT.get(error)?.in(vocabulary) ?? error.message;
}
