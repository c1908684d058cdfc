import { netHost } from "../../../backends/common/hosts.ts";
import type { ResolvedOptions } from "../../options/resolve_options.ts";
import { safeCause } from "../../../backends/common/printable.ts";
import { causeLines } from "../report_error.ts";
import { fail, type Finding, ok, skipped, warning } from "./finding.ts";

/** Checks that the API answers. The request carries no token, and any answer passes. */
export async function checkApi({ apiHost, runtime }: ResolvedOptions): Promise<Finding[]> {
  const check = "API";
  if (apiHost === undefined) return [];
  const host = netHost(new URL(apiHost));
  if (Deno.permissions.querySync({ name: "net", host }).state !== "granted") {
    return [skipped(check, `the permission --allow-net=${host} is missing`)];
  }
  try {
    const signal = AbortSignal.timeout(runtime.timeoutMs);
    const response = await runtime.fetch(apiHost, { redirect: "manual", signal });
    await response.body?.cancel();
    if (response.status < 500) return [ok(check, `${apiHost} answers`)];
    const message = `${apiHost} answers with status ${response.status}`;
    return [warning(check, message, "Try again later, or ask its operator.")];
  } catch (error) {
    const name = error instanceof Error ? error.name : "unknown error";
    const message = `${apiHost} cannot be reached (${name})`;
    const advice = "Check VM_API_HOST, the network, a proxy (HTTPS_PROXY) and the certificates " +
      "(DENO_TLS_CA_STORE, DENO_CERT).";
    return [fail(check, message + causeLines({ message, ...safeCause(error) }), advice)];
  }
}
