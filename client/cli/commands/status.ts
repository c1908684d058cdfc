import { backendNeeds, preflight } from "../../permissions/preflight.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { chooseBackend } from "../choose_backend.ts";
import { type Command, EXIT, type Invocation } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { IDENTITY_FLAGS } from "../identity_options.ts";
import { readStatus, type StatusReport } from "../read_status.ts";
import { findIdentity, identityNeeds } from "../sign_in_needs.ts";
import { statusText } from "../status_text.ts";

const ACTION = "tell the status";

/** `status`: who is signed in, without network. */
export const status: Command = {
  name: "status",
  summary: "tell who is signed in, until when, and where the tokens are",
  details: [
    "Looks into the store only: nothing is refreshed, and nobody is asked. Exit code 4 means that",
    "the next use needs a person.",
  ],
  flags: [...IDENTITY_FLAGS, "dpop", "scope", "backend", "backend-options", "json", "quiet"],
  examples: ["status", "status --json | jq -r .expires_at", "status --quiet || echo sign in first"],
  needs: statusNeeds,
  run: runStatus,
};

async function statusNeeds(flags: FlagValues): Promise<PermissionNeed[]> {
  const variables = identityNeeds(flags);
  await using chosen = await chooseBackend(flags, "name the permissions", variables);
  const ofBackend = backendNeeds(chosen.backend).filter(({ need }) => need === "always");
  return [...variables, ...chosen.needs, ...ofBackend];
}

async function runStatus({ flags, output }: Invocation): Promise<number> {
  const report = await findStatus(flags);
  if (flags.has("json")) output.print(`${JSON.stringify(report, null, 2)}\n`);
  else if (!flags.has("quiet")) output.print(statusText(report, Date.now()));
  return report.signed_in ? EXIT.ok : EXIT.signInNeeded;
}

async function findStatus(flags: FlagValues): Promise<StatusReport> {
  const identity = await findIdentity(flags, ACTION);
  if (identity.kind === "api_key") return { signed_in: true, state: "api_key" };
  await using chosen = await chooseBackend(flags, ACTION);
  const needs = [...identityNeeds(flags), ...chosen.needs, ...backendNeeds(chosen.backend)];
  await preflight(ACTION, needs, "always");
  return await readStatus(identity, chosen.backend, Date.now());
}
