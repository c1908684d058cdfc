import type { ClearResult, Revocation } from "../../clear_result.ts";
import { clearNeeds, secretNeeds } from "../../permissions/needs.ts";
import { clearOidcCredentials } from "../../clear_oidc_credentials.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { preflight } from "../../permissions/preflight.ts";
import { resolveIdentity } from "../../options/resolve_identity.ts";
import { chooseBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { IDENTITY_FLAGS, identityOptions } from "../identity_options.ts";
import { identityNeeds } from "../sign_in_needs.ts";
import { UsageError } from "../usage_error.ts";

const ACTION = "sign out";

/** `logout`: removes stored tokens, and has them revoked. */
export const logout: Command = {
  name: "logout",
  summary: "remove the stored tokens",
  details: [
    "The entry is gone here whatever the network does. With --revoke a refusal or failure of the",
    "provider is exit code 1, since the tokens may then live on there until they end. It is no",
    "failure that nobody was signed in.",
  ],
  flags: [...IDENTITY_FLAGS, "backend", "backend-options", "revoke", "all", "json", "quiet"],
  examples: ["logout", "logout --revoke", "logout --all"],
  needs: logoutNeeds,
  run: runLogout,
};

/** With `revoke`, for the narrower call needs no less than the flags say. */
async function logoutNeeds(flags: FlagValues): Promise<PermissionNeed[]> {
  const action = "name the permissions";
  const variables = [...identityNeeds(flags), ...secretNeeds({})];
  await preflight(action, variables, "always");
  const identity = resolveIdentity(identityOptions(flags), action);
  await using chosen = await chooseBackend(flags, action, variables);
  const issuers = identity.kind === "oidc" ? [identity.issuer] : [];
  return [...variables, ...chosen.needs, ...clearNeeds(chosen.backend, issuers)];
}

async function runLogout({ flags, output }: Invocation): Promise<number> {
  const isAll = flags.has("all");
  const given = IDENTITY_FLAGS.find((name) => flags.has(name));
  if (isAll && given !== undefined) {
    throw new UsageError(`Cannot use --${given} with --all, which means everybody. Give one.`);
  }
  const variables = isAll ? [] : identityNeeds(flags);
  await preflight(ACTION, variables, "always");
  await using chosen = await chooseBackend(flags, ACTION, variables);
  const result = await clearOidcCredentials({
    ...identityOptions(flags),
    credentialsBackend: chosen.backend,
    all: isAll,
    revoke: flags.has("revoke"),
  });
  if (flags.has("json")) output.print(`${JSON.stringify(toJson(result), null, 2)}\n`);
  else if (!flags.has("quiet")) output.print(resultText(result));
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
    ? "Removed the whole store, since it could not be understood.\n"
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
