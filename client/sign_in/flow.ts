import type { TokenSet } from "../entry/bearer.ts";
import { type ApiDemand, codeOf, CONSEQUENCES, ValidMindAuthError } from "../errors.ts";
import type { PermissionNeed } from "../format_permissions.ts";
import type { BrowserOptions } from "../options/browser_options.ts";
import type { Runtime } from "../options/resolve_options.ts";
import type { Failure, SignInPage } from "../prompt/prompt.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { AuthorizationPrompt, InitOptions } from "../session_options.ts";

/** Tells a sign-in in two steps that a link is shown. A key beside the options that callers have. */
export const ON_LINK: unique symbol = Symbol("on link");

/** Options by which a person is asked. */
export interface AskOptions
  extends BrowserOptions, Pick<InitOptions, "flow" | "onDeviceCode" | "openBrowser"> {
  /** The options of the call alone, for words that repeat it. */
  call?: InitOptions;
  /** The demand of an API, for the same words. */
  demand?: ApiDemand;
  /** The parameters by which a provider is asked for what an API demands. */
  demanded?: BrowserOptions["authorizationParameters"];
  /** Checks needs of the flow. Its error names all that the call needs. */
  check?: (needs: readonly PermissionNeed[]) => Promise<void>;
  [ON_LINK]?: (link: AuthorizationPrompt) => void;
}

/** The means of a flow. */
export interface FlowContext {
  runtime: Runtime;
  ask: AskOptions;
  /** Ends the flow. Its reason is thrown then. */
  signal: AbortSignal;
  /** Shows the page in the built-in prompt. */
  show: (page: SignInPage) => Promise<void>;
  /** Looks into the store, without a wait. An entry there ends the flow by {@linkcode signal}. */
  look: () => void;
}

/**
 * Ends a flow whose sign-in another program has stored meanwhile. It does not have the entry: a caller's
 * `fetch` sees it as the reason of its signal, and may print it.
 */
export class SignedInElsewhere extends Error {}

/**
 * A way to sign in a person, such as the device flow. It asks the person and returns the tokens. The
 * caller stores them.
 */
export type Flow = (provider: OidcProvider, context: FlowContext) => Promise<TokenSet>;

/** Runs a flow, and reports its start and its end as events. */
export async function runFlow(
  flow: Flow,
  provider: OidcProvider,
  context: FlowContext,
): Promise<TokenSet> {
  const { emit } = context.runtime;
  emit?.({ type: "sign_in_started" });
  try {
    const tokens = await flow(provider, context);
    emit?.({ type: "sign_in_approved" });
    return tokens;
  } catch (error) {
    if (error instanceof SignedInElsewhere) throw error;
    const reason = failureOf(error, context.signal);
    emit?.({ type: "sign_in_failed", reason, ...codeOf(error) });
    throw error;
  }
}

/** The error where this module, or the caller's function, cannot show the code or the link. */
export function promptError(error: unknown) {
  return new ValidMindAuthError("prompt_failed", {
    action: "sign in",
    reason: "the code or the link could not be shown",
    remedy: "See the cause.",
    cause: error,
  });
}

/** The error of a flow that a refusal ends, by the meaning of the refusal. */
export function endedBy(error: unknown, flow: "byDevice" | "byBrowser"): unknown {
  if (!(error instanceof ValidMindAuthError) || error.kind === undefined) return error;
  const code = CONSEQUENCES[error.kind][flow];
  if (code === error.code) return error;
  return new ValidMindAuthError(code, error);
}

/** The failures that a person may cause, by the code of the error. */
const FAILURES = new Map<unknown, Failure>([
  ["device_code_denied", "denied"],
  ["device_code_expired", "expired"],
  ["authorization_denied", "denied"],
  ["authorization_expired", "expired"],
]);

/** The failure behind an error, as a person sees it. */
export function failureOf(error: unknown, signal: AbortSignal): Failure {
  if (signal.aborted) return "interrupted";
  return FAILURES.get(codeOf(error).code) ?? "error";
}
