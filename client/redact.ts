/** As much of a secret as gives it away: prefixes count too. */
const PREFIX = 12;

/**
 * Takes secrets out of a text from outside, which may echo what it was sent: whole, cut short,
 * percent-encoded or escaped for JSON.
 */
export function redact(text: string, secrets: Iterable<string>): string {
  const forms = [...secrets].flatMap((secret) => [
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    secret,
  ]).filter((form) => form !== "");
  if (forms.length === 0) return text;
  // Whole ones first: a secret may have characters in it at which a word would end.
  const starts = [...forms, ...forms.map((form) => form.slice(0, PREFIX))].map(RegExp.escape);
  return text.replace(new RegExp(`(?:${starts.join("|")})[^\\s"'<>&]*`, "g"), "[removed]");
}
