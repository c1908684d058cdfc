import { readDemand } from "../../api/demand.ts";
import type { AuthEvent } from "../../auth_event.ts";
import { createSession } from "../../create_session.ts";
import { asksNobody } from "../../entry/bearer.ts";
import { type CommandCall, EXIT } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { note, print, snakeCase, toJsonText } from "../output.ts";
import {
  assertPersistent,
  findTarget,
  sessionOptions,
  type SignInTarget,
} from "../sign_in_target.ts";
import { keepApi } from "./config.ts";
import { readStatus, statusText } from "./status.ts";

export async function run({ flags: given, args, command }: CommandCall): Promise<number> {
  const { action } = command;
  const flags = args.length === 0 ? given : await keepApi(given, args.join(" "), action);
  const target = await findTarget(flags, action);
  const isNew = await signIn(target, flags, action);
  const report = await readStatus(target);
  const already = isNew || target === undefined
    ? ""
    : "Already signed in. To sign in as somebody else, run logout first.\n";
  // In a terminal the prompt has said it, unless its own stream goes elsewhere.
  const isSaid = isNew && report.flow === undefined &&
    [Deno.stdout, Deno.stderr].every((stream) => stream.isTerminal());
  if (flags.has("json")) print(toJsonText(snakeCase(report)));
  else if (!flags.has("quiet") && !isSaid) print(already + statusText(report, target));
  return EXIT.ok;
}

/** Signs in, and tells whether the stored sign-in did not serve. */
async function signIn(
  target: SignInTarget | undefined,
  flags: FlagValues,
  action: string,
) {
  if (target === undefined) return false;
  const { backend, identity } = target;
  assertPersistent(backend, action);
  const tell = (step: object) => print(toJsonText(snakeCase(step)));
  const isAlone = asksNobody(identity.flow);
  let isAsked = false;
  const options = sessionOptions(flags);
  const demand = readDemand(options.authorizationParameters ?? {});
  await using session = await createSession({
    ...options,
    credentialsBackend: backend,
    interactive: true,
    onEvent: ({ time: _, ...event }: AuthEvent) => {
      isAsked ||= event.type === (isAlone ? "refresh_done" : "sign_in_started");
      // With link and code below.
      const isShown = event.type === "code_shown" || event.type === "link_shown";
      if (flags.has("json") && !isShown) tell(event);
    },
    ...(flags.has("json") && {
      onDeviceCode: (code) => {
        tell({ type: "code_shown", ...code });
        note(`Open ${code.verificationUri} and enter ${code.userCode}\n`);
      },
      onAuthorizationUrl: ({ submit: _, ...link }) => {
        tell({ type: "link_shown", ...link });
        note(`Open ${link.url}\n`);
      },
    }),
  });
  if (demand !== undefined && !isAsked) await session.signIn({ for: { demand } });
  return isAsked;
}
