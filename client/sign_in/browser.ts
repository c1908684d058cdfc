import { isDeno } from "../../backends/common/platform.ts";
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
import { type AnswerFault, BrowserAnswer, OtherBrowser, parametersOf } from "./browser_answer.ts";
import { type FlowContext, promptError } from "./flow.ts";
import { RedirectListener } from "./redirect_listener.ts";
import { listenNeeds, resolveRedirect } from "../options/browser_options.ts";

/** Time for the person, in milliseconds. */
const LIMIT_MS = 5 * 60_000;

const NOT_OPENED = option("openBrowser", { value: false });

const FAULTS: Record<AnswerFault, string> = {
  no_answer:
    "it is not the address that the browser ends on after the sign-in. Copy that one whole, with " +
    "state and code in it",
  other_sign_in:
    "it is of another sign-in. Open the link that is shown now, and copy the new address",
  spent: "it was handed in already, and counts once. Wait, or sign in again",
  over: "the sign-in that it is for has ended. Sign in again",
};

/** Signs in a person in the browser: RFC 8252, with a code that this computer's listener gets. */
export async function signInByBrowser(
  provider: OidcProvider,
  { runtime, ask, signal, show, atEnd }: FlowContext,
): Promise<TokenSet> {
  const { loginHint, authorizationParameters, onAuthorizationUrl } = ask;
  const setting = resolveRedirect(ask, provider.issuer, "sign in");
  await preflight("sign in in the browser", listenNeeds(setting), "sign_in");
  // Before the page is shown: no other program may take the port in between.
  const listener = RedirectListener.open(setting, runtime.delay);
  // The browser is told only then: an approval is no sign-in yet.
  atEnd(async (isStored) => {
    listener.end(isStored ? "signed_in" : "failed");
    await listener[Symbol.asyncDispose]();
  });
  const { redirectUri } = listener;
  const options = { redirectUri, loginHint, parameters: authorizationParameters };
  const authorization = await startAuthorization(provider, options, signal);
  const answer = new BrowserAnswer(authorization.state);
  listener.expect(answer, authorization.url);
  const expiresAt = new Date(runtime.now() + LIMIT_MS);
  const submit = (address: string) => {
    const fault = answer.offer(parametersOf(address) ?? new URLSearchParams());
    return fault && FAULTS[fault];
  };
  const prompt: AuthorizationPrompt = {
    url: authorization.url,
    redirectUri,
    expiresAt,
    submit: (address) => {
      const fault = submit(String(address));
      return fault === undefined ? Promise.resolve() : Promise.reject(addressRefused(fault));
    },
  };
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const promptFailed = Promise.withResolvers<never>();
  runtime.emit?.({ type: "link_shown", expiresAt });
  const display = onAuthorizationUrl ??
    ((shown) => show(pageOf(shown, provider.issuer, { listener, submit })));
  // Not awaited: a prompt may stay open until the sign-in is over.
  Promise.try(display, prompt).catch((error) => promptFailed.reject(promptError(error)));
  try {
    const parameters = await Promise.race([
      answer.taken,
      expiry(runtime.delay(LIMIT_MS, either), provider.issuer),
      promptFailed.promise,
    ]);
    return await redeemAuthorization(provider, authorization, parameters, signal);
  } catch (error) {
    throw signal.aborted ? signal.reason : denial(error, provider.issuer);
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

function pageOf(
  { url, redirectUri, expiresAt }: AuthorizationPrompt,
  issuer: string,
  { listener, submit }: { listener: RedirectListener; submit: PageAnswer["submit"] },
): SignInPage {
  const { origin, pathname } = new URL(url);
  const form = { port: listener.port, path: listener.formPath };
  const answer = { redirectUri, submit, form, startUrl: listener.startUrl };
  return { issuer, url, shortUrl: origin + pathname, expiresAt, answer };
}

async function expiry(wait: Promise<void>, issuer: string): Promise<never> {
  await wait;
  throw new ValidMindAuthError(
    "authorization_expired",
    `Cannot sign in at ${issuer}: the browser did not come back within ${LIMIT_MS / 60_000} ` +
      `minutes. Sign in again; if its page showed an error, see what it says about the redirect ` +
      `URI, which has to be registered at the provider.`,
  );
}

function denial(error: unknown, issuer: string): unknown {
  if (error instanceof OtherBrowser) {
    return new ValidMindAuthError(
      "authorization_denied",
      words`Cannot sign in at ${issuer}: two browsers have opened its page, perhaps one of another user. Sign in again with ${NOT_OPENED}, and open the link yourself.`,
    );
  }
  const isDenied = error instanceof ProviderRefusedError &&
    ["access_denied", "authorization_declined"].includes(error.oauthError ?? "");
  if (!isDenied) return error;
  const { oauthError } = error;
  return new ValidMindAuthError("authorization_denied", wordsOf(error), { oauthError });
}

function addressRefused(fault: string): ValidMindAuthError {
  return new ValidMindAuthError("address_refused", `Cannot use the address: ${fault}.`);
}
