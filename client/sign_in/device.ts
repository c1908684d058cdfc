import { isSecureUrl } from "../../backends/common/hosts.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { describeBackend } from "../../backends/common/describe_backend.ts";
import { type Bearer, readClaims, type TokenSet } from "../entry.ts";
import { runDeviceFlow } from "./device_flow.ts";
import type { DeviceCode } from "../session_options.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { browserLauncher } from "../permissions/browser_launcher.ts";
import type { Runtime } from "../options/runtime.ts";
import { openPrompt } from "../prompt/open_prompt.ts";
import { type Outcome, pageOf, type Prompt, type SignedIn } from "../prompt/prompt.ts";
import { notebook } from "../prompt/terminal.ts";

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

/**
 * Opens a page in the person's browser. No shell is between, and only pages of the web are opened.
 *
 * @returns Why it could not be opened, or `undefined`. Waits for the program that opens it, which may
 * be the browser itself, but does not keep the process alive for it.
 */
export async function openBrowser(page: string): Promise<string | undefined> {
  if (!isPage(page)) return "the page is no https: page";
  const [command, ...before] = browserLauncher();
  if (Deno.permissions.querySync({ name: "run", command }).state !== "granted") {
    return `${command} is not installed, or not permitted by --allow-run=${command}`;
  }
  try {
    const child = new Deno.Command(command, {
      args: [...before, page],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    child.unref();
    return (await child.status).success ? undefined : `${command} found no browser`;
  } catch {
    return `${command} cannot be run`;
  }
}

function isPage(page: string): boolean {
  const url = URL.parse(page);
  return url !== null && isSecureUrl(url);
}

/**
 * Watches for an interrupt of the notebook's kernel: Deno's kernel would end by it, and every
 * variable of the notebook with it. Elsewhere Ctrl-C ends the process as ever, and nothing is
 * watched.
 */
function watchInterrupt(): { signal?: AbortSignal } & Disposable {
  if (notebook() === undefined) return { [Symbol.dispose]() {} };
  const controller = new AbortController();
  const onInterrupt = () => controller.abort(interrupted());
  Deno.addSignalListener("SIGINT", onInterrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt),
  };
}

function interrupted(): DOMException {
  return new DOMException("Cannot sign in: it was interrupted. Run the cell again.", "AbortError");
}
