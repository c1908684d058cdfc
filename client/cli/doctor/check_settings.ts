import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import type { Identity } from "../../options/identity.ts";
import { CLIENT_AUTH_VARIABLES, clientAuthFromEnv } from "../../options/resolve_identity.ts";
import type { FlagValues } from "../flags.ts";
import { sourcesOf } from "../sign_in_target.ts";
import { sourcesText } from "../status_text.ts";
import { failedBy, type Finding, ok, skipped, warning } from "./finding.ts";

const FILE = "settings file";
const SOURCES = "set by";

/** The checks that name settings as they are in the file, where others name flags and variables. */
export const IN_WORDS_OF_FILE: readonly string[] = [FILE, SOURCES];

/** Whether there is a settings file, and can be used. None is no fault. */
export function checkSettingsFile({ settings }: FlagValues): Finding[] {
  const { state, path, fault, denial, entryName, used } = settings;
  if (fault !== undefined) return [failedBy(FILE, fault)];
  if (denial !== undefined) return [warning(FILE, denial, "Or go on without its settings.")];
  if (state === "unknown") return [skipped(FILE, "no variable that may be read leads to it")];
  if (state === "absent") return [skipped(FILE, `there is none: ${path}`)];
  const words = used.length === 0 ? "nothing in it applies" : `"${entryName}" in it applies`;
  return [ok(FILE, `${path}: ${words}`)];
}

/** The sign-in that the settings name, and where they come from. */
export function checkSettings(identity: Identity, flags: FlagValues): Finding[] {
  const sources = sourcesText(sourcesOf(flags), flags.settings);
  return [
    ok("settings", describeIdentity(identity)),
    ...(sources === "" ? [] : [ok(SOURCES, sources)]),
    ...checkUnusedSecret(identity),
  ];
}

function describeIdentity(identity: Identity): string {
  if (identity.kind === "api_key") return "an API key is set (VM_API_KEY), and nobody signs in";
  const { issuer, clientId, audience } = identity;
  return `client ${clientId} at ${issuer}${audience === undefined ? "" : ` for ${audience}`}`;
}

/** A secret in a variable is for the client alone that variables name: it is told where it is left. */
function checkUnusedSecret(identity: Identity): Finding[] {
  if (identity.kind !== "oidc") return [];
  const names = Object.values(CLIENT_AUTH_VARIABLES);
  const variable = names.find((name) => readEnvIfGranted(name) !== undefined);
  const isUsed = Object.keys(clientAuthFromEnv(identity)).length > 0;
  if (variable === undefined || isUsed) return [];
  const advice = "Set VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID to its client, or unset it.";
  return [warning("settings", `${variable} is set, but not for this client`, advice)];
}
