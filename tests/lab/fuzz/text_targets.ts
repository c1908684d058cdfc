import * as fc from "fast-check";
import { assert } from "@std/assert";
import { parseFlag } from "../../../backends/common/environment.ts";
import { isSecureUrl } from "../../../backends/common/host.ts";
import { parseRetryAfter } from "../../../backends/common/http_answer.ts";
import { parseObject } from "../../../backends/common/json.ts";
import { printable } from "../../../backends/common/printable.ts";
import { redact } from "../../../backends/common/redaction.ts";
import { parseBackendKwargs, parseBackendSpec } from "../../../backends/load/create_backend.ts";
import { COMMANDS } from "../../../client/cli/commands.ts";
import { parseCommandLine } from "../../../client/cli/parse_command_line.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { secureUrl } from "../../../client/options/resolve_identity.ts";
import { SETTINGS } from "../../../client/options/declaration.ts";
import { parseSettings } from "../../../client/options/settings_file.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { SECRETS } from "../../support/entries.ts";
import { json, secret, text, texts, variant, withoutSecrets } from "./arbitraries.ts";
import { assertPlain, attempt, type FuzzTarget, sharesPiece, target } from "./fuzz_target.ts";

const FORMS: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  encodeURIComponent,
  btoa,
  (secret) => btoa(btoa(secret)),
  (secret) => btoa(`:${secret}`),
  (secret) => new TextEncoder().encode(secret).toHex(),
  (secret) => new TextEncoder().encode(secret).toHex().toUpperCase(),
  (secret) => [...secret].join("\n"),
  (secret) => secret.slice(3, 12),
  JSON.stringify,
];

const echo = fc.array(
  fc.oneof(text, fc.tuple(secret, fc.constantFrom(...FORMS)).map(([one, form]) => form(one))),
  { maxLength: 5 },
).map((parts) => parts.join(""));

const word = fc.oneof(
  fc.constantFrom(...COMMANDS.map(({ name }) => name)),
  fc.constantFrom("--json", "--backend", "--backend-options", "-h", "--", "-", "--scope=", "--x"),
  fc.constantFrom("--token=", "--client-secret=", "--password ").map((one) => one + SECRETS.access),
  text.map(withoutSecrets), // a short word is shown
);

const entry = variant({
  issuer: "https://login.example.com",
  clientId: "app",
  flow: "device",
  clientKeyFile: "keys/app.pem",
  openBrowser: true,
  authorizationParameters: { prompt: "login" },
  backend: "./store.ts:Store",
  backendOptions: { auth: { token: "${MY_TOKEN}" }, path: "/srv/x" },
}, ["clientSecret", "token", "apiHost"]);

const settings = json(
  fc.oneof(
    entry.map((one) => ({ ...one, profiles: { two: one } })),
    variant({ profiles: {} }, ["issuer"]),
  ),
);

function namesIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) => [name, ...namesIn(item)]);
}

/** Texts that settings, commands and servers give. */
export const TEXT_TARGETS: readonly FuzzTarget[] = [
  target("error texts with secrets in them", echo, (input) => {
    const clean = redact(input, Object.values(SECRETS));
    assert(!sharesPiece(clean, Object.values(SECRETS)), "a piece of a secret is left");
    assertNoSecret(clean);
  }),
  target("texts for display", texts, (input) => {
    const shown = printable(input);
    assertPlain(shown);
    assert(shown.length <= 501, "too long");
  }),
  target("Retry-After", fc.oneof(text, fc.constant(null)), (input) => {
    const ms = parseRetryAfter(input);
    assert(ms === undefined || (Number.isFinite(ms) && ms >= 0), `${ms} ms`);
  }),
  target("the name of a backend", texts.map(withoutSecrets), async (input) => {
    await attempt(() => parseBackendSpec(input, "X")); // the name is shown, a query is not
    await attempt(() => parseBackendSpec(`${input}:Backend?token=${SECRETS.access}`, "X"));
  }),
  target(
    "the options of a backend",
    json(variant({ path: "/srv/${HOME}/x", backends: ["file", { name: "kv" }] }, ["options"])),
    async (input) => {
      // The names of options and of variables are shown.
      const names = [...namesIn(parseObject(input)), ...input.matchAll(/\$\{[^}]*/g)].join(" ");
      if (sharesPiece(names, Object.values(SECRETS))) return;
      await attempt(() => parseBackendKwargs(input, "X"));
    },
  ),
  target("a variable that is yes or no", text, async (input) => {
    await attempt(() => parseFlag("X", input));
  }),
  target("addresses", texts, async (input) => {
    const url = await attempt(() => secureUrl(input, "it", "do it: the address"));
    assert(url === undefined || isSecureUrl(url), "an insecure address is taken");
  }),
  target("parts of a key", fc.tuple(texts, texts, texts), async ([issuer, client, audience]) => {
    const key = await attempt(() => credentialKey(issuer, client, audience));
    assert(key === undefined || key.split("|").length >= 2, "a key of one part");
  }),
  target("a settings file", settings, async (input) => {
    // A short name is shown.
    if (sharesPiece(namesIn(parseObject(input)).join(" "), Object.values(SECRETS))) return;
    const parsed = await attempt(() => parseSettings("/home/ada/config.json", input));
    const entries = parsed && [parsed.common, ...parsed.profiles.values()];
    const names = entries?.flatMap((entry) => Object.keys(entry)) ?? [];
    assert(names.every((name) => SETTINGS.some((known) => known === name)), "a stranger");
  }),
  target("a command line", fc.array(word, { maxLength: 6 }), async (input) => {
    const parsed = await attempt(() => parseCommandLine(input));
    assert(
      parsed === undefined || parsed.command === undefined || COMMANDS.includes(parsed.command),
    );
  }),
];
