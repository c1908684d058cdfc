import { toBase64 } from "./bytes.ts";

/** As much of a secret as gives it away. Shorter pieces turn up by chance. */
const PIECE = 8;

/** So many secrets are kept: a session that is refreshed for years must not fill the memory. */
const MOST = 200;

/** The secrets that a session or a call knows. */
export type Secrets = Iterable<string> & object;

/**
 * Adds to the secrets that a session knows: present and former tokens, codes, assertions, keys. Values
 * that are no text are passed over.
 */
export function remember(secrets: Set<string>, values: Iterable<unknown>): void {
  for (const value of values) {
    if (typeof value !== "string" || value === "") continue;
    secrets.delete(value); // one that is used again is among the newest
    secrets.add(value);
  }
  for (const oldest of secrets) {
    if (secrets.size <= MOST) return;
    secrets.delete(oldest);
  }
}

/**
 * Removes secrets from a text from outside, which may echo them: each run of eight characters that the
 * text shares with a form in which one is sent. A shorter form is removed whole.
 */
export function redact(text: string, secrets: Secrets): string {
  const searched = unify(text);
  const shared = sharedPieces(searched, formsIn(secrets));
  const lengths = new Set(Array.from(shared, (piece) => piece.length));
  const isHidden = new Uint8Array(text.length);
  let clean = "";
  for (let at = 0; at < text.length; at++) {
    for (const length of lengths) {
      if (shared.has(searched.slice(at, at + length))) isHidden.fill(1, at, at + length);
    }
    if (!isHidden[at]) clean += text[at];
    else if (!isHidden[at - 1]) clean += "[removed]";
  }
  return clean;
}

/** The pieces of a text that are pieces of secrets. A form that is shorter than one is always among them. */
function sharedPieces(text: string, forms: readonly Form[]) {
  const isMarked = new Uint8Array(2 ** MARK_BITS);
  const pieces = new Set<string>();
  for (let at = 0; at < text.length; at++) {
    isMarked[markAt(text, at)] = 1;
    pieces.add(text.slice(at, at + PIECE));
  }
  const shared = new Set<string>();
  for (const { form, marks } of forms) {
    if (form.length < PIECE) shared.add(form);
    for (let index = 0; index < marks.length; index++) {
      if (!isMarked[marks[index]!]) continue;
      const last = Math.min(index * STEP, form.length - PIECE);
      // An earlier piece holds the mark before this one.
      for (let at = Math.max(0, (index - 1) * STEP + 1); at <= last; at++) {
        const piece = form.slice(at, at + PIECE);
        if (pieces.has(piece)) shared.add(piece);
      }
    }
  }
  return shared;
}

/**
 * A secret as it may be echoed, with a mark for each fifth place. A piece has a marked place in it, so that
 * a few hundred tokens cost a look for each mark, and no search.
 */
interface Form {
  readonly form: string;
  readonly marks: Uint32Array;
}

const MARK_BITS = 19;

/** A mark is made of four characters, and at each place of a piece there are four or more that follow. */
const STEP = PIECE - 4 + 1;

/** A number for the next four characters. */
function markAt(text: string, at: number) {
  const next = text.charCodeAt(at) << 21 ^ text.charCodeAt(at + 1) << 14 ^
    text.charCodeAt(at + 2) << 7 ^ text.charCodeAt(at + 3);
  return Math.imul(next, 0x9e3779b1) >>> 32 - MARK_BITS;
}

/** The forms of each secret, for as long as somebody has the set of the secrets. */
const known = new WeakMap<Secrets, Map<string, Form[]>>();

function formsIn(secrets: Secrets) {
  const before = known.get(secrets);
  const forms = new Map<string, Form[]>();
  for (const secret of secrets) forms.set(secret, before?.get(secret) ?? formsOf(secret));
  known.set(secrets, forms);
  return [...forms.values()].flat();
}

/** The forms in which a secret is sent: as it is, in an address, in a form, and in a header. */
function formsOf(secret: string): Form[] {
  const percent = encodeURIComponent(secret.toWellFormed());
  const form = inForm(secret);
  const all = [secret, percent, form, ...[secret, form].flatMap(base64Of)];
  return Array.from(new Set(all.map(unify)), (form) => {
    const length = Math.ceil((form.length - PIECE + STEP) / STEP);
    return { form, marks: Uint32Array.from({ length }, (_, index) => markAt(form, index * STEP)) };
  });
}

/** A text in the encoding of forms. */
export function inForm(text: string) {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

/** Base64 of a text that stands at each place of a group of three, such as behind a client's id. */
function base64Of(text: string) {
  return [0, 1, 2].map((before) => {
    const encoded = toBase64(new TextEncoder().encode("_".repeat(before) + text));
    // Its ends hold bits of what stands around the secret.
    return encoded.slice(before && before + 1).replace(/.?=+$/, "");
  });
}

/**
 * One spelling, of the same length, for both kinds of base64 and of percent-encoding, and for the host of an
 * address, which is in small letters.
 */
function unify(text: string) {
  return text.replaceAll("+", "-").replaceAll("/", "_")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
