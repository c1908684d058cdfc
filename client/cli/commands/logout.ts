import { clearOidcCredentials } from "../../clear_oidc_credentials.ts";
import type { ClearResult, Revocation } from "../../clear_result.ts";
import { resolveIdentity } from "../../options/resolve_identity.ts";
import { clearNeeds, secretNeeds } from "../../permissions/needs.ts";
import { preflight } from "../../permissions/preflight.ts";
import { chooseBackend, type ChosenBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation, printResult } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { IDENTITY_FLAGS, identityNeeds, sessionOptions } from "../sign_in_target.ts";
import { UsageError } from "../usage_error.ts";

/** `logout`: removes stored tokens, and revokes them if asked. */
export const logout: Command<ChosenBackend> = {
  name: "logout",
  summary: "remove the stored tokens",
  details: [
    "The entry is removed here whatever the network does. With --revoke, exit code 1 " +
    "means that the provider refused or failed: the tokens may then live on there until " +
    "they end. It is no failure if nobody was signed in.",
  ],
  flags: [...IDENTITY_FLAGS, "backend", "backend-options", "revoke", "all", "json", "quiet"],
  examples: ["logout", "logout --revoke", "logout --all"],
  action: "sign out",
  prepare: prepareLogout,
  run: runLogout,
};

async function prepareLogout(flags: FlagValues, action: string): Promise<ChosenBackend> {
  const given = IDENTITY_FLAGS.find((name) => flags.has(name));
  if (flags.has("all") && given !== undefined) {
    throw new UsageError(`Cannot use --${given} with --all, which means everybody. Give one.`);
  }
  const settings = flags.has("all") ? [] : identityNeeds(flags);
  await preflight(action, settings, "always");
  const chosen = await chooseBackend(flags, action, settings);
  const needs = () => {
    const identity = resolveIdentity(sessionOptions(flags), action);
    const issuers = identity.kind === "oidc" ? [identity.issuer] : []; // for --revoke
    const toClear = clearNeeds(chosen.backend, issuers);
    return [...settings, ...secretNeeds({}), ...chosen.needs(), ...toClear];
  };
  return { ...chosen, needs };
}

async function runLogout({ backend }: ChosenBackend, invocation: Invocation): Promise<number> {
  const { flags, output } = invocation;
  const result = await clearOidcCredentials({
    ...sessionOptions(flags),
    credentialsBackend: backend,
    all: flags.has("all"),
    revoke: flags.has("revoke"),
  });
  printResult(invocation, toJson(result), resultText(result));
  const isMissed = result.revocation === "failed" || result.revocation === "not_supported";
  if (isMissed && flags.has("quiet")) output.note(revocationText(result));
  return isMissed ? EXIT.failure : EXIT.ok;
}

function toJson({ keys, revocation, reason, wholeStore = false }: ClearResult) {
  return { keys, revocation, ...(reason !== undefined && { reason }), whole_store: wholeStore };
}

function resultText(result: ClearResult): string {
  const { keys, wholeStore } = result;
  const removed = wholeStore
    ? "Removed the whole store, which could not be read.\n"
    : keys.length === 0
    ? "Nobody was signed in.\n"
    : keys.map((key) => `Removed ${key}\n`).join("");
  return removed + revocationText(result);
}

const REVOCATION_WORDS: Record<Revocation, string> = {
  not_requested: "",
  revoked: "The provider has ended the tokens.\n",
  nothing_to_revoke: "There was nothing to revoke.\n",
  not_supported: "The tokens could not be revoked",
  failed: "The tokens could not be revoked",
};

function revocationText({ revocation, reason }: ClearResult): string {
  const words = REVOCATION_WORDS[revocation];
  if (revocation !== "failed" && revocation !== "not_supported") return words;
  return `${words}: ${reason ?? "the provider did not say why"}. They live on there until they ` +
    `end; end them on the provider's own page.\n`;
}
