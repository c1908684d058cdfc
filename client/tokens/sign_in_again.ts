import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { joinScopes, parametersOf, shortfallOf } from "../api/demand.ts";
import { readClaims, type TokenSet } from "../entry/bearer.ts";
import { type ApiDemand, ValidMindAuthError } from "../errors.ts";
import { ASK, BY_BROWSER } from "../provider/remedy.ts";
import type { Subject } from "../provider/refresh_grant.ts";
import { revokeTokens } from "./clear.ts";
import { loadProvider } from "./entry_use.ts";
import type { TokenSourceOptions } from "./session_tokens.ts";

/** Prepares a sign-in that an API demands, in the place of the stored one of the same person. */
export async function prepareSignInAgain(
  demand: ApiDemand,
  { identity, runtime, askAgain }: TokenSourceOptions,
  before: OidcCredentials | undefined,
) {
  const askedAt = Date.now() / 1000;
  const demanded = parametersOf(demand);
  const scope = joinScopes(identity.scope, before && `${before.scope ?? ""}`, demand.scope);
  const { openProvider, reasonAgainst, subjectOf } = await loadProvider();
  const provider = await openProvider({ ...identity, scope }, runtime);
  const action = `sign in again at ${identity.issuer}`;
  const authorizationParameters = { ...askAgain!.authorizationParameters, ...demanded };
  return {
    provider,
    ask: {
      ...askAgain!,
      authorizationParameters,
      demanded,
      call: { ...askAgain!.call, scope, authorizationParameters },
    },
    /** New tokens go on from it: its refresh token stays where there is no new one. */
    previous: { ...before, scope, granted_scope: undefined } as unknown as OidcCredentials,
    /** Refuses the tokens of another person, and those that do not meet the demand. */
    async assertMet(entry: OidcCredentials, tokens: TokenSet) {
      const { iss, sub } = readClaims(`${tokens.idToken}`) ?? {};
      const subject = before && subjectOf(before);
      const otherPerson = subject && reasonAgainst(subject, { iss, sub } as Subject);
      if (otherPerson) {
        await revokeTokens(() => Promise.resolve(provider), tokens); // nobody else has them
        const remedy = "Sign in as the person of the stored sign-in, or sign out first.";
        throw new ValidMindAuthError("id_token_invalid", { action, reason: otherPerson, remedy });
      }
      // They are not revoked: at some providers this would end the stored sign-in of the same browser.
      const lack = shortfallOf(demand, entry, askedAt + (runtime.skew ?? 0));
      if (!lack) return;
      throw new ValidMindAuthError("demand_unmet", {
        action,
        reason: `the provider does not do what the API demands: ${lack}`,
        remedy: `Set ${BY_BROWSER}. Then ${ASK}`,
      });
    },
  };
}
