import { toBase64 } from "./bytes.ts";

/** As much of a secret as gives it away. Shorter pieces turn up by chance. */
const PIECE = 8;

/** So many secrets are kept: a session is refreshed for years, and each one takes time at each error. */
const MOST = 50;

/** The secrets that a session or a call knows. */
export type Secrets = Iterable<string>;

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
  const shared = sharedPieces(searched, secrets);
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
function sharedPieces(text: string, secrets: Secrets) {
  const pieces = new Set<string>();
  for (let at = 0; at < text.length; at++) pieces.add(text.slice(at, at + PIECE));
  const shared = new Set<string>();
  for (const form of new Set(Array.from(secrets, formsOf).flat())) {
    if (form.length < PIECE) shared.add(form);
    for (let at = 0; at + PIECE <= form.length; at++) {
      const piece = form.slice(at, at + PIECE);
      if (pieces.has(piece)) shared.add(piece);
    }
  }
  return shared;
}

/** A longer secret is a token, and no token is sent with Basic. */
const LONGEST_BASIC = 512;

/** The forms in which a secret is sent: as it is, in an address, in a form, and in a header. */
function formsOf(secret: string) {
  const percent = encodeURIComponent(secret.toWellFormed());
  const form = inForm(secret);
  const all = [secret, percent, form];
  if (secret.length <= LONGEST_BASIC) all.push(...[secret, form].flatMap(base64Of));
  return all.map(unify);
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
