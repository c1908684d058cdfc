// deno-lint-ignore-file no-console -- its output is what the parent process reads
/**
 * The test provider as a process of its own:
 *
 * ```sh
 * deno run -A tests/support/oidc_provider_main.ts '{"autoApprove":true}'
 * ```
 *
 * Prints one JSON line, `{ issuer, clientId }`, when ready; ends when standard input closes.
 * For each line on standard input it prints one that tells how many refreshes there were since the
 * last, and whether the token on that line is active: `{ refreshes, isActive }`.
 *
 * @module
 */
import type { ApproveOptions } from "./approver.ts";
import { type OidcProviderOptions, startOidcProvider } from "./oidc_provider.ts";
import { linesOf } from "./lines_of.ts";

/** What its argument takes. */
export type MainOptions = Omit<OidcProviderOptions, "configure"> & {
  autoApprove?: boolean | ApproveOptions;
  /** How long each answer is held back, in milliseconds. @default {0} */
  answerDelayMs?: number;
  /** How long the answer to a refresh is held back beyond that, in milliseconds. @default {0} */
  refreshDelayMs?: number;
};

if (import.meta.main) await main(JSON.parse(Deno.args[0]!));

async function main(given: MainOptions): Promise<void> {
  const { autoApprove = false, answerDelayMs = 0, refreshDelayMs = 0, ...options } = given;
  await using provider = await startOidcProvider(options);
  provider.autoApprove = autoApprove;
  provider.beforeAnswer = async ({ grantType }) => {
    const ms = answerDelayMs + (grantType === "refresh_token" ? refreshDelayMs : 0);
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  };
  const { issuer, clientId } = provider;
  console.log(JSON.stringify({ issuer, clientId }));
  for await (const token of linesOf(Deno.stdin.readable)) {
    const refreshes = provider.requests.filter(({ grantType }) => grantType === "refresh_token");
    provider.reset();
    const isActive = await provider.isActive(token);
    console.log(JSON.stringify({ refreshes: refreshes.length, isActive }));
  }
}
