import { toBase64 } from "./printable.ts";

/** As much of a secret as gives it away. Shorter pieces turn up by chance. */
const PIECE = 8;

/** So many secrets are kept: a session that is refreshed for years must not fill the memory. */
const MOST = 200;

/**
 * Adds to the secrets that a session knows: present and former tokens, codes, assertions, keys. Values
 * that are no text are passed over.
 */
export function remember(secrets: Set<string>, values: Iterable<unknown>): void {
  for (const value of values) {
    if (typeof value === "string" && value !== "") secrets.add(value);
  }
  for (const oldest of secrets) {
    if (secrets.size <= MOST) return;
    secrets.delete(oldest);
  }
}

/**
 * Removes secrets from a text from outside, which may echo them: each run of eight characters that the
 * text shares with one, as it is, percent-encoded or in base64. A shorter secret is removed whole.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const found = findPieces(text, secrets);
  let clean = "";
  for (let at = 0; at < text.length; at++) {
    if (found[at] === 0) clean += text[at];
    else if (at === 0 || found[at - 1] === 0) clean += "[removed]";
  }
  return clean;
}

/** Whether {@linkcode redact} would remove anything. */
export function sharesPiece(text: string, secrets: Iterable<string>): boolean {
  return findPieces(text, secrets).includes(1);
}

/** Marks the characters of a text that it shares with a secret. */
function findPieces(text: string, secrets: Iterable<string>): Uint8Array {
  const found = new Uint8Array(text.length);
  const searched = unify(text);
  const places = placesOf(searched);
  for (const form of [...secrets].flatMap(formsOf)) {
    if (form.length < PIECE) markAll(found, searched, form);
    for (let at = 0; at + PIECE <= form.length; at++) {
      const piece = form.slice(at, at + PIECE);
      for (const place of places.get(piece) ?? []) found.fill(1, place, place + PIECE);
      places.delete(piece); // it is marked once
    }
  }
  return found;
}

/** The places of each run of a text. */
function placesOf(text: string): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let at = 0; at + PIECE <= text.length; at++) {
    const piece = text.slice(at, at + PIECE);
    const known = places.get(piece);
    if (known === undefined) places.set(piece, [at]);
    else known.push(at);
  }
  return places;
}

function markAll(found: Uint8Array, text: string, short: string): void {
  if (short === "") return;
  for (let at = text.indexOf(short); at !== -1; at = text.indexOf(short, at + 1)) {
    found.fill(1, at, at + short.length);
  }
}

/** A secret as it may be echoed; in base64 at each place of a group of three. */
function formsOf(secret: string): string[] {
  const bytes = new TextEncoder().encode(secret);
  const encoded = [0, 1, 2].map((before) => {
    const text = toBase64(new Uint8Array([...new Uint8Array(before), ...bytes]));
    // Its ends hold bits of what stands around the secret.
    return text.slice(before && before + 1).replace(/.?=+$/, "");
  });
  return [secret, encodeURIComponent(secret.toWellFormed()), ...encoded].map(unify);
}

/** One spelling, of the same length, for both kinds of base64 and of percent-encoding. */
function unify(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_")
    .replace(/%[\da-f]{2}/gi, (code) => code.toUpperCase());
}
