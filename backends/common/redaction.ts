import { toBase64 } from "./bytes.ts";

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
 * text shares with one, as it is, percent-encoded or in base64. A shorter secret is removed whole.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const searched = unify(text);
  const starts = new Set<number>();
  for (let at = 0; at < searched.length; at++) starts.add(startOf(searched, at));
  const forms = [...secrets].flatMap(formsOf).filter((form) => form !== "");
  const short = forms.filter((form) => form.length < PIECE);
  const shared = new Set<string>();
  for (const form of forms) {
    for (let at = 0; at + PIECE <= form.length; at++) {
      if (!starts.has(startOf(form, at))) continue;
      const piece = form.slice(at, at + PIECE);
      if (searched.includes(piece)) shared.add(piece);
    }
  }
  let clean = "";
  let end = -1; // of what is removed
  for (let at = 0; at < text.length; at++) {
    const former = end;
    if (shared.has(searched.slice(at, at + PIECE))) end = at + PIECE;
    for (const form of short) {
      if (searched.startsWith(form, at)) end = Math.max(end, at + form.length);
    }
    if (at >= end) clean += text[at];
    else if (at > former) clean += "[removed]";
  }
  return clean;
}

/** A number for the next characters. With 200 tokens, a slice at each place would take seconds. */
function startOf(text: string, at: number): number {
  return text.charCodeAt(at) << 21 ^ text.charCodeAt(at + 1) << 14 ^
    text.charCodeAt(at + 2) << 7 ^ text.charCodeAt(at + 3);
}

/** A secret as it may be echoed; in base64 at each place of a group of three. */
function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const text = toBase64(new TextEncoder().encode("_".repeat(before) + secret));
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
