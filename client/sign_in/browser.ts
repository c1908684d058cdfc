import type { TokenSet } from "../entry.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { FlowContext } from "./flow.ts";

const MISSING = "this version cannot do so yet";

/** The reason why a sign-in in the browser cannot work here, or `undefined`. */
export function browserObstacle(
  _provider: OidcProvider,
  _context: FlowContext,
): Promise<string | undefined> {
  return Promise.resolve(MISSING);
}

/** Signs in a person in the browser: RFC 8252. */
export function signInByBrowser(_provider: OidcProvider, _context: FlowContext): Promise<TokenSet> {
  return Promise.reject(new Error(MISSING));
}
