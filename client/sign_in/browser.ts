import { untilAborted } from "../../backends/common/promises.ts";
import { isDeno } from "../../backends/common/runtime.ts";
import { ValidMindAuthError } from "../errors.ts";
import { listenNeeds, resolveRedirect } from "../options/browser_options.ts";
import { named } from "../options/declaration.ts";
import {
  type Authorization,
  authorizationObstacle,
  redeemAuthorization,
  startAuthorization,
} from "../provider/authorization_code_grant.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { endedBy, type Flow, type FlowContext, ON_LINK, promptError } from "./flow.ts";
import {
  type BrowserAnswer,
  browserAnswer,
  openRedirectListener,
  parametersIn,
} from "./redirect_listener.ts";

/** Time for the person, in milliseconds. */
const LIMIT_MS = 5 * 60_000;
/** Pause between two looks into the store, in milliseconds. */
const LOOK_MS = 5000;

/** Signs in a person in the browser: RFC 8252, with a code that this computer's listener gets. */
export const signInByBrowser: Flow = async (provider, context) => {
  const { ask, signal } = context;
  const { issuer } = provider.identity;
  const setting = resolveRedirect(ask, issuer, "sign in");
  await ask.check?.(listenNeeds(setting));
  // Before the page is shown: no other program may take the port in between.
  await using listener = openRedirectListener(setting);
  const authorization = await startAuthorization(provider, {
    redirectUri: listener.redirectUri,
    loginHint: ask.loginHint,
    parameters: { ...ask.authorizationParameters, ...ask.demanded },
  }, signal);
  const answer = browserAnswer(authorization.state);
  const stop = new AbortController();
  const onOther = () => stop.abort(twoBrowsers(issuer));
  const startUrl = listener.expect(answer, authorization.url, onOther);
  // Not awaited: a prompt may stay open until the sign-in is over.
  void showLink(issuer, authorization, startUrl, answer, context)
    .catch((error) => stop.abort(promptError(error)));
  try {
    const late = expiry(issuer, { ...context, signal: AbortSignal.any([signal, stop.signal]) });
    const parameters = await Promise.race([answer.taken, late]);
    return await redeemAuthorization(provider, authorization, parameters, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw endedBy(error, "byBrowser");
  } finally {
    answer.end();
    stop.abort();
  }
};

/** The reason why this flow cannot work for these options or at this provider. */
export async function browserObstacle(
  provider: OidcProvider,
  { ask, signal }: Pick<FlowContext, "ask" | "signal">,
): Promise<string | undefined> {
  if (!isDeno) return "it needs Deno";
  if (ask.onDeviceCode && !ask.onAuthorizationUrl) {
    return "this flow has a link, and only onDeviceCode is given: give onAuthorizationUrl";
  }
  return await authorizationObstacle(provider, signal);
}

/** Shows the link by the caller's function, or in the built-in prompt with all ways for its answer. */
async function showLink(
  issuer: string,
  { url, redirectUri, iss = "" }: Authorization,
  startUrl: string,
  answer: BrowserAnswer,
  { runtime, ask, show }: FlowContext,
) {
  const expiresAt = new Date(runtime.now() + LIMIT_MS);
  runtime.emit?.({ type: "link_shown", expiresAt });
  const offer = (address: string) => {
    const parameters = parametersIn(address);
    const given = parameters.get("iss") ?? "";
    // The end of an address is easily lost, and a code can be used once.
    const isCut = parameters.has("code") && given !== iss && iss.startsWith(given);
    return answer.offer(isCut ? new URLSearchParams() : parameters);
  };
  const link = {
    url,
    redirectUri,
    expiresAt,
    submit: (address: string) => Promise.try(() => assertTaken(offer(`${address}`))),
  };
  const { origin, pathname } = new URL(url);
  const page = {
    issuer,
    url,
    shortUrl: origin + pathname,
    expiresAt,
    answer: {
      redirectUri,
      startUrl,
      submit: offer,
    },
  };
  if (ask.onAuthorizationUrl) await ask.onAuthorizationUrl(link);
  else await show(page);
  ask[ON_LINK]?.(link);
}

/** Tells a caller why an address was not taken. */
function assertTaken(reason: string | undefined) {
  if (reason === undefined) return;
  throw new ValidMindAuthError("address_refused", {
    action: "use the address",
    reason,
    remedy: "Copy the whole address of the last page.",
  });
}

/** Waits until the person's time is over, and looks for another sign-in meanwhile. */
async function expiry(issuer: string, { runtime, signal, look }: FlowContext): Promise<never> {
  for (let waited = 0; waited < LIMIT_MS; waited += LOOK_MS) {
    await untilAborted(runtime.delay(LOOK_MS, signal), signal);
    look();
  }
  throw new ValidMindAuthError("authorization_expired", {
    action: `sign in at ${issuer}`,
    reason: `the browser did not come back within ${LIMIT_MS / 60_000} minutes`,
    remedy: "Sign in again. If the page showed an error about the redirect URI, register that " +
      "URI at the provider.",
  });
}

function twoBrowsers(issuer: string) {
  return new ValidMindAuthError("authorization_denied", {
    action: `sign in at ${issuer}`,
    reason: "two browsers have opened its page, perhaps one of another user",
    remedy: `Sign in again with ${named("openBrowser", false)}, and open the link yourself.`,
  });
}
