import { isGranted, netHost, permissionFlag } from "../../../backends/common/platform.ts";
import {
  connectionAdvice,
  connectionFault,
  safeCause,
} from "../../../backends/common/printable.ts";
import type { ResolvedOptions } from "../../options/resolve_options.ts";
import { causeLines } from "../report_error.ts";
import { fail, type Finding, ok, skipped, warning } from "./finding.ts";

const CHECK = "API";
/** The answer to an address that a server does not have. */
const ABSENT = 404;

/**
 * Asks the API for what `init()` asks it first, without a token. A refusal passes: it shows that the
 * address is right.
 */
export async function checkApi({ apiHost, runtime }: ResolvedOptions): Promise<Finding[]> {
  if (apiHost === undefined) return [];
  const host = netHost(new URL(apiHost));
  if (!isGranted({ name: "net", host })) {
    return [skipped(CHECK, `the permission ${permissionFlag("net", host)} is missing`)];
  }
  const ask = async (url: string | URL) => {
    const signal = AbortSignal.timeout(runtime.timeoutMs);
    const response = await runtime.fetch(url, { redirect: "manual", signal });
    await response.body?.cancel();
    return response.status;
  };
  try {
    const ping = new URL("ping", apiHost);
    const status = await ask(ping);
    if (status !== ABSENT) return [judge(apiHost, status)];
    // An API other than ValidMind's need not have it.
    return [await ask(apiHost) === ABSENT ? absent(apiHost) : withoutPing(apiHost, ping)];
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    const fault = isLate
      ? `there was no answer within ${runtime.timeoutMs} ms`
      : connectionFault(error);
    const message = `${apiHost} cannot be reached: ${fault ?? "the connection failed"}`;
    const causes = isLate ? "" : causeLines({ message, ...safeCause(error) });
    return [fail(CHECK, message + causes, connectionAdvice(fault, "VM_API_HOST"))];
  }
}

function judge(apiHost: string, status: number): Finding {
  if (status < 500) return ok(CHECK, `${apiHost} answers`);
  const message = `${apiHost} answers with status ${status}`;
  return warning(CHECK, message, "Try again later, or ask its operator.");
}

function absent(apiHost: string): Finding {
  const message = `the server answers, and has nothing at ${apiHost} (status ${ABSENT})`;
  return fail(CHECK, message, "Check VM_API_HOST, its path above all.");
}

function withoutPing(apiHost: string, ping: URL): Finding {
  return warning(
    CHECK,
    `${apiHost} answers, but ${ping} is not there (status ${ABSENT}), which init() asks first`,
    "For ValidMind, check the path of VM_API_HOST. For another API nothing needs to be done.",
  );
}
