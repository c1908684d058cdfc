import { readDemand } from "../../api/demand.ts";
import type { AuthEvent } from "../../auth_event.ts";
import { openSession } from "../../create_session.ts";
import { asksNobody } from "../../entry/bearer.ts";
import type { CommandCall } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { printResult } from "../output.ts";
import {
  assertPersistent,
  findTarget,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";
import { keepApi } from "../config/keep_api.ts";
import { readStatus, statusText } from "./status.ts";

export async function run({ flags: given, args, command }: CommandCall) {
  const { action } = command;
  const [address] = args;
  const flags = address === undefined ? given : await keepApi(given, address, action);
  const target = await findTarget(flags, action);
  const isNew = await signIn(target, flags, action);
  const report = await readStatus(target);
  const already = isNew || target === undefined
    ? ""
    : "Already signed in. To sign in anew, or as somebody else, run logout first.\n";
  // In a terminal the prompt has said it, unless its own stream goes elsewhere.
  const isSaid = isNew && report.flow === undefined &&
    [Deno.stdout, Deno.stderr].every((stream) => stream.isTerminal());
  printResult(flags, report, isSaid ? "" : already + statusText(report, target));
}

/** Signs in, and tells whether the stored sign-in did not serve. */
async function signIn(target: SignInTarget | undefined, flags: FlagValues, action: string) {
  if (target === undefined) return false;
  const { backend, identity } = target;
  assertPersistent(backend, action);
  const sign = asksNobody(identity.flow) ? "refresh_done" : "sign_in_started";
  let isAsked = false;
  const options = sessionOptions(flags);
  const { scope, ...authorizationParameters } = options.authorizationParameters ?? {};
  const demand = readDemand({ ...authorizationParameters, scope });
  await using _session = await openSession(
    {
      ...options,
      ...demand && { authorizationParameters }, // its scope goes with that of the sign-in
      credentialsBackend: backend,
      interactive: true,
      onEvent: ({ type }: AuthEvent) => void (isAsked ||= type === sign),
    },
    demand,
  );
  return isAsked;
}
