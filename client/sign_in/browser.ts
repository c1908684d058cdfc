import { isDeno } from "../../backends/common/platform.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import { option, words, wordsOf } from "../../backends/credentials_backend_error.ts";
import type { TokenSet } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import { preflight } from "../permissions/preflight.ts";
import type { PageAnswer, SignInPage } from "../prompt/prompt.ts";
import {
  authorizationObstacle,
  redeemAuthorization,
  startAuthorization,
} from "../provider/authorization_code_grant.ts";
import { ProviderRefusedError } from "../provider/error.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { AuthorizationPrompt } from "../session_options.ts";
import { BrowserAnswer, parametersOf } from "./browser_answer.ts";
import { DENIALS, type FlowContext, promptError } from "./flow.ts";
import { RedirectListener } from "./redirect_listener.ts";
import { listenNeeds, resolveRedirect } from "../options/browser_options.ts";

/** Time for the person, in milliseconds. */
const LIMIT_MS = 5 * 60_000;
/** Pause between two looks into the store, in milliseconds. */
const LOOK_MS = 5000;

/** Signs in a person in the browser: RFC 8252, with a code that this computer's listener gets. */
export async function signInByBrowser(
  provider: OidcProvider,
  context: FlowContext,
): Promise<TokenSet> {
  const { runtime, ask, signal, show } = context;
  const { loginHint, authorizationParameters, onAuthorizationUrl } = ask;
  const setting = resolveRedirect(ask, provider.issuer, "sign in");
  await preflight("sign in in the browser", listenNeeds(setting), "sign_in");
  // Before the page is shown: no other program may take the port in between.
  await using listener = RedirectListener.open(setting);
  const { redirectUri } = listener;
  const options = { redirectUri, loginHint, parameters: authorizationParameters };
  const authorization = await startAuthorization(provider, options, signal);
  const answer = new BrowserAnswer(authorization.state);
  const stop = new AbortController();
  listener.expect(answer, authorization.url, () => stop.abort(twoBrowsers(provider.issuer)));
  const expiresAt = new Date(runtime.now() + LIMIT_MS);
  const submit = (address: string) => answer.offer(parametersOf(address));
  const prompt: AuthorizationPrompt = {
    url: authorization.url,
    redirectUri,
    expiresAt,
    submit: (address) =>
      Promise.try(() => {
        const fault = submit(String(address));
        if (fault === undefined) return;
        throw new ValidMindAuthError("address_refused", `Cannot use the address: ${fault}.`);
      }),
  };
  const either = AbortSignal.any([signal, stop.signal]);
  runtime.emit?.({ type: "link_shown", expiresAt });
  const { startUrl, form } = listener;
  const display = onAuthorizationUrl ??
    ((shown) => show(pageOf(shown, provider.issuer, { submit, form, startUrl })));
  // Not awaited: a prompt may stay open until the sign-in is over.
  Promise.try(display, prompt).catch((error) => stop.abort(promptError(error)));
  try {
    const parameters = await Promise.race([
      answer.taken,
      expiry({ ...context, signal: either }, provider.issuer),
    ]);
    return await redeemAuthorization(provider, authorization, parameters, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : denial(error);
  } finally {
    answer.end();
    stop.abort();
  }
}

/** The reason why this flow cannot work for these options or at this provider. */
export async function browserObstacle(
  provider: OidcProvider,
  { ask, signal }: Pick<FlowContext, "ask" | "signal">,
): Promise<string | undefined> {
  if (!isDeno) return "it needs Deno";
  if (ask.onDeviceCode !== undefined && ask.onAuthorizationUrl === undefined) {
    return "only onDeviceCode shows something, and this flow has no code: give onAuthorizationUrl";
  }
  return await authorizationObstacle(provider, signal);
}

/** The page of a link, for the built-in prompt. */
export function pageOf(
  { url, redirectUri, expiresAt }: AuthorizationPrompt,
  issuer: string,
  ways: Omit<PageAnswer, "redirectUri">,
): SignInPage {
  const { origin, pathname } = new URL(url);
  const answer = { redirectUri, ...ways };
  return { issuer, url, shortUrl: origin + pathname, expiresAt, answer };
}

async function expiry(
  { runtime, signal, look }: Pick<FlowContext, "runtime" | "signal" | "look">,
  issuer: string,
): Promise<never> {
  for (let waited = 0; waited < LIMIT_MS; waited += LOOK_MS) {
    await untilAborted(runtime.delay(LOOK_MS, signal), signal);
    await look();
  }
  throw new ValidMindAuthError(
    "authorization_expired",
    `Cannot sign in at ${issuer}: the browser did not come back within ${LIMIT_MS / 60_000} ` +
      `minutes. Sign in again; if its page showed an error, see what it says about the redirect ` +
      `URI, which has to be registered at the provider.`,
  );
}

function twoBrowsers(issuer: string): ValidMindAuthError {
  const notOpened = option("openBrowser", { value: false });
  return new ValidMindAuthError(
    "authorization_denied",
    words`Cannot sign in at ${issuer}: two browsers have opened its page, perhaps one of another user.
      Sign in again with ${notOpened}, and open the link yourself.`,
  );
}

function denial(error: unknown): unknown {
  const { oauthError } = error instanceof ProviderRefusedError ? error : {};
  if (!DENIALS.includes(oauthError)) return error;
  return new ValidMindAuthError("authorization_denied", wordsOf(error as Error), { oauthError });
}
