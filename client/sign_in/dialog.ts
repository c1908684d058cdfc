import { backendName, locationOf } from "../../backends/common/describe_backend.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isSecureUrl } from "../../backends/common/host.ts";
import { isGranted } from "../../backends/common/permission.ts";
import { isDeno, notebook } from "../../backends/common/runtime.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import type { Bearer, TokenSet } from "../entry/bearer.ts";
import { entryStatus } from "../entry/entry_status.ts";
import { partsOf, ValidMindAuthError } from "../errors.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { browserLauncher } from "../permissions/preflight.ts";
import { openPrompt } from "../prompt/open_prompt.ts";
import {
  type Outcome,
  type PageAnswer,
  type Prompt,
  type SignedIn,
  signedInAs,
  type SignInPage,
} from "../prompt/prompt.ts";
import {
  canReadTerminal,
  isShownByCaller,
  isTerminal,
  readPastes,
  showLine,
} from "../prompt/terminal.ts";
import { BY_BROWSER, BY_DEVICE, isOfProof } from "../provider/error.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { SignInFlow } from "../session_options.ts";
import { browserObstacle, signInByBrowser } from "./browser.ts";
import { signInByDevice } from "./device.ts";
import {
  type AskOptions,
  failureOf,
  type Flow,
  type FlowContext,
  runFlow,
  SignedInElsewhere,
} from "./flow.ts";

/** The ways to hand in an address. */
const TYPE_HERE =
  "Paste its whole address here and press Enter. It is hidden, and can be used once.";
const USE_TWO_CELLS =
  "Interrupt this cell, and use two cells:\nconst signIn = await vm.startSignIn(); // open its link\n" +
  'const session = await signIn.finish("<address of the last page>");';

/** Options of {@linkcode askPerson}. */
interface AskPersonOptions {
  runtime: Runtime;
  ask: AskOptions;
  /** The store of the tokens, for the words of the outcome. */
  backend: OidcCredentialsBackend;
  signal: AbortSignal;
  /** Stores the tokens. Gives the new entry. */
  save: (tokens: TokenSet) => Promise<OidcCredentials>;
  /** Looks for a sign-in that another program has stored meanwhile. Never throws. */
  look: () => Promise<OidcCredentials | undefined>;
  bearerIn: (entry: OidcCredentials) => Bearer | undefined;
}

/** Asks the person to sign in, and has the tokens stored before the person sees the outcome. */
export async function askPerson(
  provider: OidcProvider,
  options: AskPersonOptions,
): Promise<OidcCredentials> {
  const { runtime, ask, save } = options;
  using dialog = new SignInDialog(options);
  const elsewhere = new AbortController();
  const signal = AbortSignal.any([dialog.signal, elsewhere.signal]);
  let looking: Promise<void> | undefined;
  let found: OidcCredentials | undefined;
  // Nobody waits for a look: a store that hangs, or asks, holds up neither a poll nor the end.
  const look = () => {
    looking ??= options.look().then((entry) => {
      looking = undefined;
      found ??= entry;
      if (found) elsewhere.abort(new SignedInElsewhere("another program has signed in"));
    });
  };
  try {
    const show = dialog.show.bind(dialog);
    const context = { runtime, ask, signal, show, look };
    const tokens = await runFlow(chosenFlow(ask.flow), provider, context);
    const entry = await save(tokens);
    // Without an ID token that is the bearer, the session fails by an error of its own.
    const isUsable = options.bearerIn(entry) !== undefined;
    await dialog.end(isUsable ? signedIn(provider, entry, options) : { kind: "error" });
    return entry;
  } catch (error) {
    if (found !== undefined && error instanceof SignedInElsewhere) {
      runtime.emit?.({ type: "sign_in_joined" });
      await dialog.end({ ...signedIn(provider, found, options), isElsewhere: true });
      return found;
    }
    await dialog.end({ kind: failureOf(error, dialog.signal) });
    throw error;
  }
}

function signedIn(
  { identity }: OidcProvider,
  entry: OidcCredentials,
  { backend, bearerIn }: AskPersonOptions,
): SignedIn {
  return signedInAs({
    ...entryStatus(identity, entry, bearerIn(entry)),
    backend: { name: locationOf(backend) ?? backendName(backend) },
  });
}

/** One sign-in as the person sees it in the built-in prompt: from the page to the outcome. */
class SignInDialog implements Disposable {
  /** Aborts with the given signal, or when the person interrupts. */
  readonly signal: AbortSignal;
  readonly #options: AskPersonOptions;
  readonly #interrupt: Disposable | undefined;
  /** Aborts when the person interrupts the cell, or presses Ctrl-C while addresses are read. */
  readonly #given = new AbortController();
  #opening: Promise<Prompt> | undefined;
  #pastes: Disposable | undefined;

  constructor(options: AskPersonOptions) {
    this.#options = options;
    this.#interrupt = isShownByCaller(options.ask) ? undefined : watchInterrupt(this.#given);
    this.signal = AbortSignal.any([options.signal, this.#given.signal]);
  }

  async show(page: SignInPage): Promise<void> {
    const { runtime } = this.#options;
    // The page of a first try, whose scopes the provider has refused.
    if (this.#opening !== undefined) await this.end({ kind: "denied" });
    const submit = canReadTerminal() ? page.answer?.submit : undefined;
    // Before the prompt asks for an address, since the terminal would show it.
    if (submit) this.#readPastes(submit);
    const handIn = submit ? TYPE_HERE : notebook() && USE_TWO_CELLS;
    const answer = page.answer && { ...page.answer, handIn };
    this.#opening = openPrompt({ ...page, answer }, runtime.now);
    const { note } = this.#options.ask;
    if (note !== undefined) await (await this.#opening).note(note);
    await this.#openBrowser(await this.#opening, page);
  }

  /** Reads addresses beside the listener: the browser may be on another machine. */
  #readPastes(onAddress: NonNullable<PageAnswer["submit"]>): void {
    this.#pastes = readPastes({
      onAddress,
      say: (fault) => void this.#opening?.then((prompt) => prompt.note(`Not taken: ${fault}.`)),
      onInterrupt: (signal) => this.#given.abort(interruption("Sign in again.", signal)),
    });
  }

  async #openBrowser(prompt: Prompt, { url, answer }: SignInPage): Promise<void> {
    const { openBrowser: isWanted = answer !== undefined && isTerminal() && !isRemote() } =
      this.#options.ask;
    if (!isWanted) return;
    const reason = await openBrowser(answer?.startUrl ?? url);
    // Where nobody asked for it, the link alone is enough.
    if (reason === undefined || this.#options.ask.openBrowser === undefined) return;
    await prompt.note(`The browser was not opened: ${reason}.`);
  }

  /** Shows the outcome in the place of the page. */
  async end(outcome: Outcome): Promise<void> {
    this.#pastes?.[Symbol.dispose]();
    const prompt = await this.#opening?.catch(() => undefined); // a failed opening has no end
    await prompt?.end(outcome);
  }

  [Symbol.dispose](): void {
    this.#pastes?.[Symbol.dispose]();
    this.#interrupt?.[Symbol.dispose]();
  }
}

/** Whether the person sits at another machine, as far as readable variables tell. */
function isRemote(): boolean {
  return ["SSH_CONNECTION", "SSH_TTY"].some((name) => readEnvIfGranted(name) !== undefined);
}

/** The reason of a sign-in that the person, or a signal, has ended. The command line exits by the signal. */
function interruption(advice: string, signal: Deno.Signal = "SIGINT"): DOMException {
  const reason = `Cannot sign in: the sign-in was interrupted. ${advice}`;
  const error = new DOMException(reason, "AbortError");
  return Object.assign(error, { signal, stack: `${error}` }); // without frames: it is nobody's fault
}

/**
 * Lets an interrupt of the notebook's kernel end the sign-in. It would end Deno's kernel, and with it
 * every variable of the notebook. Outside a notebook nothing is watched, and Ctrl-C ends the process.
 */
export function watchInterrupt(signIn: AbortController): Disposable | undefined {
  if (notebook() === undefined) return undefined;
  const onInterrupt = () => signIn.abort(interruption("Run the cell again."));
  Deno.addSignalListener("SIGINT", onInterrupt);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt) };
}

/**
 * Opens a page in the person's browser, without a shell in between. Only a page of the web is opened.
 *
 * The program that opens it gets the variables of a desktop and no others: this process's may hold an
 * API secret. It gets the page as its argument, which every user of the host may be able to read. It
 * takes a page in no other way. The address of a page holds no token: see `BrowserStart`.
 *
 * @returns The reason why it could not be opened, or `undefined`. Waits for the program that opens it,
 * which may be the browser itself, but does not keep the process alive for it.
 */
export async function openBrowser(page: string): Promise<string | undefined> {
  const url = URL.parse(page);
  if (url === null || !isSecureUrl(url)) return "the page is not an https: page";
  if (!isDeno) return "this needs Deno";
  const { command, before, variables } = browserLauncher();
  if (!isGranted({ name: "run", command })) {
    return `${command} is not installed, or needs --allow-run=${command}`;
  }
  try {
    const child = new Deno.Command(command, {
      args: [...before, page],
      clearEnv: true,
      env: readable(variables),
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

/** Variables with their values, as far as Deno lets them be read without a question. */
function readable(variables: readonly string[]): Record<string, string> {
  const found = variables.map((name) => [name, readEnvIfGranted(name)] as const);
  return Object.fromEntries(found.flatMap(([name, value]) => value ? [[name, value]] : []));
}

/** The OAuth errors by which a provider refuses a flow to a client, whoever signs in; or none. */
const REFUSALS: unknown[] = ["unauthorized_client", "unsupported_grant_type", undefined];

/** The flow of the caller's choice. Every flow with a person is registered here. */
function chosenFlow(flow: SignInFlow | undefined): Flow {
  if (flow === "device") return byDevice;
  return flow === "browser" ? signInByChosenBrowser : signInByAny;
}

const signInByChosenBrowser: Flow = async (provider, context) => {
  const obstacle = await browserObstacle(provider, context);
  if (obstacle === undefined) return await byBrowser(provider, context);
  throw new ValidMindAuthError("flow_unsupported", {
    action: `sign in with ${BY_BROWSER}`,
    reason: obstacle,
    remedy: `Set ${BY_DEVICE}, or leave the flow out.`,
  });
};

/** The device flow; where it is not to be had for this client, the browser. */
const signInByAny: Flow = async (provider, context) => {
  try {
    return await byDevice(provider, context);
  } catch (error) {
    if (!isWithoutDeviceFlow(error)) throw error;
    const obstacle = await browserObstacle(provider, context);
    const { code } = error;
    if (obstacle !== undefined) {
      const instead = `${BY_BROWSER} cannot take its place: ${obstacle}.`;
      // The advice of this code is the browser.
      const remedy = code === "device_flow_unsupported" ? instead : `${error.remedy} ${instead}`;
      throw new ValidMindAuthError(code, { ...partsOf(error), remedy });
    }
    const { runtime, ask } = context;
    runtime.emit?.({ type: "flow_changed", flow: "browser", code });
    if (!isShownByCaller(ask)) {
      await showLine(
        `Cannot ${error.action}: ${error.reason}. The sign-in goes on in the browser. The flow "device" prevents this.`,
      );
    }
    return await byBrowser(provider, context);
  }
};

const byDevice: Flow = (provider, context) => withFewerScopes(signInByDevice, provider, context);
const byBrowser: Flow = (provider, context) => withFewerScopes(signInByBrowser, provider, context);

/** Goes on with fewer scopes where the provider refuses the default ones, which nobody has named. */
async function withFewerScopes(
  flow: Flow,
  provider: OidcProvider,
  context: FlowContext,
): Promise<TokenSet> {
  try {
    return await flow(provider, context);
  } catch (error) {
    const scope = await provider.narrowScope(error, flow === signInByDevice);
    if (scope === undefined) throw error;
    if (!isShownByCaller(context.ask)) {
      const asked = scope === "" ? "no scope" : `the scope "${scope}"`;
      const advice =
        "there may be no refresh token. To ask for another one, set scope (VM_OIDC_SCOPE).";
      const { action, reason } = error as ValidMindAuthError;
      await showLine(`Cannot ${action}: ${reason}. The sign-in goes on with ${asked}: ${advice}`);
    }
    return await withFewerScopes(flow, provider, context);
  }
}

/** Whether the provider has no device flow for this client, whoever signs in. */
function isWithoutDeviceFlow(error: unknown): error is ValidMindAuthError {
  return error instanceof ValidMindAuthError && (error.code === "device_flow_unsupported" ||
    (error.code === "provider_refused" && REFUSALS.includes(error.oauthError) &&
      !isOfProof(error)));
}
