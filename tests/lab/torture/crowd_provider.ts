// A provider whose codes are born approved, and which rotates refresh tokens and detects reuse. For
// each line with a list of access tokens it tells how many are active, and what it was asked.
import { linesOf } from "../../support/lines_of.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";

/** What the provider tells. */
export interface ProviderTold {
  /** Of the tokens in question. */
  readonly active: number;
  /** Requests since the last question. */
  readonly requests: number;
  /** Those of them that sent a refresh token. */
  readonly refreshes: number;
  /** Those of them that were refused. */
  readonly refusals: number;
}

await using provider = await startScriptedProvider({ interval: 0.05 });
provider.autoApprove = true;
say({ issuer: provider.issuer, clientId: provider.clientId });
for await (const line of linesOf(Deno.stdin.readable)) {
  const tokens: string[] = JSON.parse(line);
  const { requests } = provider;
  const told: ProviderTold = {
    active: tokens.filter((token) => provider.isActive(token)).length,
    requests: requests.length,
    refreshes: requests.filter(({ grantType }) => grantType === "refresh_token").length,
    refusals: requests.filter(({ status }) => status >= 400).length,
  };
  provider.reset();
  say(told);
}

function say(value: object): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}
