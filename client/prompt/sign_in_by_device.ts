import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, readClaims } from "../credentials.ts";
import { describeBackend } from "../backend_error.ts";
import { runDeviceFlow } from "../device_flow.ts";
import type { DeviceCode } from "../init_options.ts";
import type { OidcProvider } from "../oidc_provider.ts";
import type { Runtime } from "../resolve_options.ts";
import type { TokenSet } from "../token_set.ts";
import { openBrowser } from "./open_browser.ts";
import { openPrompt } from "./open_prompt.ts";
import type { Outcome, Prompt, SignedIn } from "./prompt.ts";
import { pageOf } from "./prompt_text.ts";
import { watchInterrupt } from "./watch_interrupt.ts";

/** How a person is asked. */
export interface AskOptions {
  /** Replaces the built-in prompt, and with it every word that this module says. */
  onDeviceCode: ((code: DeviceCode) => void | Promise<void>) | undefined;
  /** Whether the page is opened in the person's browser. */
  openBrowser: boolean;
}

/** What {@linkcode signInByDevice} is told. */
export interface SignInByDeviceOptions extends AskOptions {
  runtime: Runtime;
  signal: AbortSignal;
  /** Where the tokens will be. */
  backend: OidcCredentialsBackend;
  /** Stores the tokens; gives the one that goes on requests. */
  keep: (tokens: TokenSet) => Promise<Bearer | undefined>;
}

/** Asks the person to sign in, and tells how it ended. Loaded only when a person is asked. */
export async function signInByDevice(
  provider: OidcProvider,
  options: SignInByDeviceOptions,
): Promise<void> {
  const { onDeviceCode, runtime } = options;
  if (onDeviceCode !== undefined) {
    const { signal } = options;
    await options.keep(await runDeviceFlow(provider, { runtime, signal, onDeviceCode }));
    return;
  }
  using interrupt = watchInterrupt();
  const signal = AbortSignal.any([options.signal, ...(interrupt.signal ? [interrupt.signal] : [])]);
  let opening: Promise<Prompt> | undefined;
  const show = async (code: DeviceCode) => {
    opening = openPrompt({ code, now: runtime.now });
    const prompt = await opening;
    if (options.openBrowser) await browse(code, prompt);
  };
  try {
    const tokens = await runDeviceFlow(provider, { runtime, signal, onDeviceCode: show });
    const bearer = await options.keep(tokens);
    await endPrompt(opening, signedIn(tokens, bearer?.expiresAt ?? 0, options.backend));
  } catch (error) {
    await endPrompt(opening, outcomeOf(error, signal));
    throw error;
  }
}

/** One that could not be opened has nothing to end. */
async function endPrompt(opening: Promise<Prompt> | undefined, outcome: Outcome): Promise<void> {
  const prompt = await opening?.catch(() => undefined);
  await prompt?.end(outcome);
}

async function browse(code: DeviceCode, prompt: Prompt): Promise<void> {
  const reason = await openBrowser(pageOf(code));
  if (reason !== undefined) await prompt.note(`The browser was not opened: ${reason}.`);
}

function signedIn(tokens: TokenSet, expiresAt: number, backend: OidcCredentialsBackend): SignedIn {
  const claims = tokens.idToken === undefined ? undefined : readClaims(tokens.idToken);
  const who = claims?.email ?? claims?.preferred_username ?? claims?.sub;
  return {
    kind: "signed_in",
    who: typeof who === "string" ? who : undefined,
    expiresAt,
    place: backend.location ?? describeBackend(backend),
    isRefreshable: tokens.refreshToken !== undefined,
  };
}

function outcomeOf(error: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) return { kind: "interrupted" };
  const code = (error as { code?: unknown } | null)?.code;
  if (code === "device_code_denied") return { kind: "denied" };
  return { kind: code === "device_code_expired" ? "expired" : "failed" };
}
