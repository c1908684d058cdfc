import { backendName, locationOf } from "../../backends/common/describe_backend.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { notebook } from "../../backends/common/runtime.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import type { Bearer, TokenSet } from "../entry/bearer.ts";
import { entryStatus } from "../entry/entry_status.ts";
import type { Runtime } from "../options/resolve_options.ts";
import { openPrompt } from "../prompt/open_prompt.ts";
import type { Outcome, PageAnswer, Prompt, SignedIn, SignInPage } from "../prompt/prompt.ts";
import { canReadTerminal, isShownByCaller, isTerminal, readPastes } from "../prompt/terminal.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { chosenFlow } from "./choose_flow.ts";
import { type AskOptions, failureOf, ON_LINK, runFlow, SignedInElsewhere } from "./flow.ts";
import { openBrowser } from "./open_browser.ts";
import { NEXT_CELL, twoCells } from "./two_steps.ts";

const TYPE_HERE = [
  "Paste its whole address here and press Enter. It is hidden, and can be used once.",
];

/** Options of {@linkcode askPerson}. */
interface AskPersonOptions {
  runtime: Runtime;
  ask: AskOptions;
  /** The store of the tokens, for the words of the outcome. */
  backend: OidcCredentialsBackend;
  signal: AbortSignal;
  /** Stores the tokens. Gives the new entry. */
  save: (tokens: TokenSet) => Promise<OidcCredentials>;
  /** Looks for a sign-in that another program has stored meanwhile. A fault, as of a damaged row, is none. */
  look: () => Promise<OidcCredentials | undefined>;
  bearerIn: (entry: OidcCredentials) => Bearer | undefined;
}

/** Asks the person to sign in, and has the tokens stored before the person sees the outcome. */
export async function askPerson(
  provider: OidcProvider,
  options: AskPersonOptions,
): Promise<OidcCredentials> {
  const { runtime, ask } = options;
  using dialog = new Dialog(options);
  const elsewhere = watchStore(options.look);
  const signal = AbortSignal.any([dialog.signal, elsewhere.signal]);
  const context = { runtime, ask, signal, show: dialog.show, look: elsewhere.look };
  try {
    const entry = await options.save(await runFlow(chosenFlow(ask.flow), provider, context));
    // Without an ID token that is the bearer, the session fails by an error of its own.
    const isUsable = options.bearerIn(entry) !== undefined;
    await dialog.end(isUsable ? signedIn(provider, entry, options) : { kind: "error" });
    return entry;
  } catch (error) {
    const found = elsewhere.found();
    if (found && error instanceof SignedInElsewhere) {
      runtime.emit?.({ type: "sign_in_joined" });
      await dialog.end({ ...signedIn(provider, found, options), isElsewhere: true });
      return found;
    }
    await dialog.end({ kind: failureOf(error, dialog.signal) });
    throw error;
  }
}

/**
 * Looks for a sign-in that another program stores. Nobody waits for a look: a store that hangs, or asks, holds
 * up neither a poll nor the end.
 */
function watchStore(lookIntoStore: AskPersonOptions["look"]) {
  const end = new AbortController();
  let found: OidcCredentials | undefined;
  let looking: Promise<void> | undefined;
  const take = (entry: OidcCredentials | undefined) => {
    looking = undefined;
    found ??= entry;
    if (found) end.abort(new SignedInElsewhere("another program has signed in"));
  };
  return {
    /** Aborts once a sign-in is found. */
    signal: end.signal,
    found: () => found,
    look() {
      looking ??= lookIntoStore().catch(() => undefined).then(take);
    },
  };
}

function signedIn(
  { identity }: OidcProvider,
  entry: OidcCredentials,
  { backend, bearerIn }: AskPersonOptions,
): SignedIn {
  return {
    kind: "signed_in",
    ...entryStatus(identity, entry, bearerIn(entry)),
    backend: { name: locationOf(backend) ?? backendName(backend) },
  };
}

/**
 * One sign-in as the person sees it in the built-in prompt, from the page to the outcome. Its signal aborts
 * with the given one, or when the person interrupts the cell, or presses Ctrl-C while addresses are read.
 */
class Dialog implements Disposable {
  readonly #options: AskPersonOptions;
  readonly #person = new AbortController();
  readonly #interrupt: Disposable | undefined;
  /** The outcome takes the place of the page, and of the cells there. */
  #afterInterrupt = "Run the cell again.";
  #opening: Promise<Prompt> | undefined;
  #pastes: Disposable | undefined;
  readonly signal: AbortSignal;

  constructor(options: AskPersonOptions) {
    this.#options = options;
    this.signal = AbortSignal.any([options.signal, this.#person.signal]);
    if (isShownByCaller(options.ask)) return;
    this.#interrupt = watchInterrupt(this.#person, () => this.#afterInterrupt);
  }

  readonly show = async (page: SignInPage) => {
    const { ask, runtime } = this.#options;
    // The page of a first try, whose scopes the provider has refused.
    if (this.#opening) await this.end({ kind: "denied" });
    const answer = page.answer && this.#withWay(page.answer);
    this.#opening = openPrompt({ ...page, answer }, runtime.now);
    void showInBrowser(await this.#opening, page, ask); // not awaited: its program may be the browser itself
  };

  /** Shows the outcome in the place of the page. */
  async end(outcome: Outcome) {
    this.#pastes?.[Symbol.dispose]();
    const prompt = await this.#opening?.catch(() => undefined); // a failed opening has no end
    await prompt?.end(outcome);
  }

  [Symbol.dispose]() {
    this.#pastes?.[Symbol.dispose]();
    this.#interrupt?.[Symbol.dispose]();
  }

  /** Adds the way for an address that another machine's browser ends on. */
  #withWay(answer: PageAnswer) {
    const { ask } = this.#options;
    if (ask[ON_LINK] !== undefined) return { ...answer, handIn: NEXT_CELL };
    if (notebook()) {
      const { advice, cells } = twoCells(ask.call, ask.demand);
      const away = "Run the cell again. If the browser's last page did not load,";
      this.#afterInterrupt = [`${away} ${advice}`, ...cells].join("\n");
      return { ...answer, handIn: [`Interrupt this cell, and ${advice}`, ...cells] };
    }
    if (!canReadTerminal()) return answer;
    // Before the prompt asks for an address, since the terminal would show it.
    this.#pastes = readPastes({
      onAddress: answer.submit,
      say: (fault) => void this.#opening?.then((prompt) => prompt.note(`Not taken: ${fault}.`)),
      onInterrupt: (name) => this.#person.abort(interruption("Sign in again.", name)),
    });
    return { ...answer, handIn: TYPE_HERE };
  }
}

async function showInBrowser(
  prompt: Prompt,
  { url, answer }: SignInPage,
  { openBrowser: asked }: AskOptions,
) {
  const isWanted = asked ?? (answer !== undefined && isTerminal() && !isRemote());
  if (!isWanted) return;
  const reason = await openBrowser(answer?.startUrl ?? url);
  // Where nobody asked for it, the link alone is enough.
  if (reason === undefined || asked === undefined) return;
  await prompt.note(`The browser was not opened: ${reason}.`);
}

/** Whether the person sits at another machine, as far as readable variables tell. */
function isRemote() {
  return ["SSH_CONNECTION", "SSH_TTY"].some((name) => readEnvIfGranted(name) !== undefined);
}

/** The reason of a sign-in that the person, or a signal, has ended. The command line exits by the signal. */
function interruption(advice: string, signal: Deno.Signal = "SIGINT") {
  const reason = `Cannot sign in: the sign-in was interrupted. ${advice}`;
  const error = new DOMException(reason, "AbortError");
  return Object.assign(error, { signal, stack: `${error}` }); // without frames: it is nobody's fault
}

/**
 * Lets an interrupt of the notebook's kernel end the sign-in. It would end Deno's kernel, and with it
 * every variable of the notebook. Outside a notebook nothing is watched, and Ctrl-C ends the process.
 */
export function watchInterrupt(
  signIn: AbortController,
  advice: () => string,
): Disposable | undefined {
  if (!notebook()) return undefined;
  const onInterrupt = () => signIn.abort(interruption(advice()));
  Deno.addSignalListener("SIGINT", onInterrupt);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt) };
}
