// deno-lint-ignore-file no-console -- its output is what the parent process reads
/**
 * The test provider and the tracking API as a process of their own:
 *
 * ```sh
 * deno run -A tests/support/oidc_provider_main.ts --json '{"autoApprove":true}'
 * ```
 *
 * Prints one JSON line, `{ issuer, clientId, apiHost }`, when ready; ends when standard input closes.
 * For each line on standard input it prints one that tells how many refreshes there were since the
 * last, and whether the token on that line is active: `{ refreshes, isActive }`.
 *
 * @module
 */
import type { AutoApproveOptions } from "./approver.ts";
import { type OidcProviderOptions, startOidcProvider } from "./oidc_provider.ts";
import { startTrackingApi } from "./tracking_api.ts";
import { linesOf } from "./lines_of.ts";

/** What `--json` takes. */
export type MainOptions = Omit<OidcProviderOptions, "configure"> & {
  autoApprove?: boolean | AutoApproveOptions;
  /** How long the answer to a refresh is held back, in milliseconds. @default {0} */
  refreshDelayMs?: number;
};

if (import.meta.main) await main(Deno.args);

async function main(args: string[]): Promise<void> {
  const { autoApprove = false, refreshDelayMs = 0, ...options } = parse(args);
  await using provider = await startOidcProvider(options);
  await using api = await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) });
  provider.autoApprove = autoApprove;
  provider.beforeAnswer = async ({ grantType }) => {
    if (grantType !== "refresh_token" || refreshDelayMs === 0) return;
    await new Promise((resolve) => setTimeout(resolve, refreshDelayMs));
  };
  const { issuer, clientId } = provider;
  console.log(JSON.stringify({ issuer, clientId, apiHost: api.apiHost }));
  for await (const token of linesOf(Deno.stdin.readable)) {
    const refreshes = provider.requests.filter(({ grantType }) => grantType === "refresh_token");
    provider.reset();
    const isActive = await provider.isActive(token);
    console.log(JSON.stringify({ refreshes: refreshes.length, isActive }));
  }
}

function parse(args: string[]): MainOptions {
  const at = args.indexOf("--json");
  return at < 0 ? {} : JSON.parse(args[at + 1] ?? "{}");
}
