import { invalidOptions, ValidMindAuthError } from "../errors.ts";
import { checkSessionOptions } from "../options/resolve_options.ts";
import { openPrompt, showStored } from "../prompt/open_prompt.ts";
import { type Prompt, signedInAs } from "../prompt/prompt.ts";
import type { Session, StartedSignIn } from "../session.ts";
import type { AuthorizationPrompt, SessionOptions } from "../session_options.ts";
import { pageOf } from "./browser.ts";
import { watchInterrupt } from "./dialog.ts";
import { failureOf } from "./flow.ts";

/** The second step, as the first one names it. */
const HAND_IN = "Copy its whole address, which can be used once. Run in the next cell:\n" +
  'const session = await signIn.finish("<address>");';

/**
 * Starts a sign-in in the browser, and gives back as soon as its link is shown.
 *
 * @param createSession Signs in. Its own prompt would wait in the first cell.
 */
export async function startInBrowser(
  createSession: (options: SessionOptions) => Promise<Session>,
  options: SessionOptions,
): Promise<StartedSignIn> {
  checkSessionOptions(options, "start the sign-in", false);
  checkFlow(options);
  const stop = new AbortController();
  const interrupt = options.onAuthorizationUrl === undefined ? watchInterrupt(stop) : undefined;
  const signal = AbortSignal.any([stop.signal, ...options.signal ? [options.signal] : []]);
  let shown = Promise.withResolvers<AuthorizationPrompt>();
  let opening: Promise<Prompt> | undefined;
  let newest: AuthorizationPrompt | undefined;
  const session = createSession({
    ...options,
    flow: "browser",
    signal,
    async onAuthorizationUrl(link) {
      const { issuer = new URL(link.url).origin, now = Date.now, onAuthorizationUrl } = options;
      if (onAuthorizationUrl === undefined) {
        // The page of a first try, whose scopes the provider has refused.
        await (await opening)?.end({ kind: "denied" });
        opening = openPrompt(pageOf(link, issuer, { handIn: HAND_IN }), now);
        await opening;
      }
      await onAuthorizationUrl?.(link);
      newest = link;
      shown.resolve(link);
      shown = Promise.withResolvers(); // for a link with fewer scopes
    },
  });
  const ended = session.then(
    async (signedIn) => (await opening)?.end(signedInAs(await signedIn.status())),
    async (error) => {
      (await opening?.catch(() => undefined))?.end({ kind: failureOf(error, signal) });
    },
  ).catch(() => undefined).finally(() => interrupt?.[Symbol.dispose]());
  let hasEnded = false;
  session.catch(() => undefined).then(() => hasEnded = true);
  const link = await Promise.race([shown.promise, session.then(() => undefined)]);
  if (link === undefined) await showStored(await session, options);
  return {
    ...(link && { url: link.url, expiresAt: link.expiresAt }),
    async finish(address) {
      // At the end its own error says more than a refusal of the address, and a session needs none.
      if (address !== undefined && !hasEnded) {
        const next = shown.promise;
        await newest?.submit(address);
        // This cell has to end, or the address of a new link could not be handed in by the next one.
        if (await Promise.race([next, session.then(() => undefined)])) throw newLink();
      }
      const signedIn = await session;
      await ended;
      return signedIn;
    },
    async [Symbol.asyncDispose]() {
      const reason = "Cannot sign in: the sign-in was given up. Start it again.";
      stop.abort(new DOMException(reason, "AbortError"));
      await ended;
    },
  };
}

function newLink(): ValidMindAuthError {
  return new ValidMindAuthError("address_refused", {
    action: "finish the sign-in",
    reason: "the provider refused the scopes of this link",
    remedy: "Open the new link, and call finish() with its address.",
  });
}

function checkFlow({ flow = "browser" }: SessionOptions): void {
  if (flow === "auto" || flow === "browser") return;
  throw invalidOptions({
    action: "start the sign-in",
    reason: `startSignIn() is for the browser, and the option flow is "${flow}"`,
    remedy: "Leave flow out, or call createSession().",
  });
}
