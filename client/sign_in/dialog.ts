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
import {
  type Outcome,
  type PageAnswer,
  type Prompt,
  type SignedIn,
  type SignInPage,
} from "../prompt/prompt.ts";
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
  /** Looks for a sign-in that another program has stored meanwhile. Never throws. */
  look: () => Promise<OidcCredentials | undefined>;
  bearerIn: (entry: OidcCredentials) => Bearer | undefined;
}

/** Asks the person to sign in, and has the tokens stored before the person sees the outcome. */
export async function askPerson(
  provider: OidcProvider,
  options: AskPersonOptions,
): Promise<OidcCredentials> {
  const { runtime, ask } = options;
  using dialog = new SignInDialog(options);
  const others = new OtherPrograms(options.look);
  const context = {
    runtime,
    ask,
    signal: AbortSignal.any([dialog.signal, others.end.signal]),
    show: (page: SignInPage) => dialog.show(page),
    look: () => others.look(),
  };
  try {
    const entry = await options.save(await runFlow(chosenFlow(ask.flow), provider, context));
    // Without an ID token that is the bearer, the session fails by an error of its own.
    const isUsable = options.bearerIn(entry) !== undefined;
    await dialog.end(isUsable ? signedIn(provider, entry, options) : { kind: "error" });
    return entry;
  } catch (error) {
    const { found } = others;
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
  return {
    kind: "signed_in",
    ...entryStatus(identity, entry, bearerIn(entry)),
    backend: { name: locationOf(backend) ?? backendName(backend) },
  };
}

/** The other programs with this store, one of which may sign in meanwhile. */
class OtherPrograms {
  readonly #find: AskPersonOptions["look"];
  /** Aborts once there is their sign-in. */
  readonly end = new AbortController();
  #looking: Promise<void> | undefined;
  /** The entry of their sign-in. */
  found: OidcCredentials | undefined;

  constructor(find: AskPersonOptions["look"]) {
    this.#find = find;
  }

  /** Looks once. Nobody waits for it: a store that hangs, or asks, holds up neither a poll nor the end. */
  look(): void {
    this.#looking ??= this.#find().then((entry) => {
      this.#looking = undefined;
      this.found ??= entry;
      if (this.found) this.end.abort(new SignedInElsewhere("another program has signed in"));
    });
  }
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
    // The page of a first try, whose scopes the provider has refused.
    if (this.#opening !== undefined) await this.end({ kind: "denied" });
    const answer = page.answer && this.#withWay(page.answer);
    this.#opening = openPrompt({ ...page, answer }, this.#options.runtime.now);
    const prompt = await this.#opening;
    this.#openBrowser(prompt, page); // not awaited: its program may be the browser itself
  }

  /** Adds the way for an address that another machine's browser ends on. */
  #withWay(answer: PageAnswer): PageAnswer {
    const { submit } = answer;
    const { ask } = this.#options;
    if (ask[ON_LINK] !== undefined) return { ...answer, handIn: NEXT_CELL };
    if (notebook() !== undefined) return { ...answer, handIn: twoCells(ask.call, ask.demanded) };
    if (submit === undefined || !canReadTerminal()) return answer;
    // Before the prompt asks for an address, since the terminal would show it.
    this.#readPastes(submit);
    return { ...answer, handIn: TYPE_HERE };
  }

  /** Reads addresses beside the listener: the browser may be on another machine. */
  #readPastes(onAddress: NonNullable<PageAnswer["submit"]>) {
    this.#pastes = readPastes({
      onAddress,
      say: (fault) => void this.#opening?.then((prompt) => prompt.note(`Not taken: ${fault}.`)),
      onInterrupt: (signal) => this.#given.abort(interruption("Sign in again.", signal)),
    });
  }

  async #openBrowser(prompt: Prompt, { url, answer }: SignInPage) {
    const { openBrowser: asked } = this.#options.ask;
    const isWanted = asked ?? (answer !== undefined && isTerminal() && !isRemote());
    if (!isWanted) return;
    const reason = await openBrowser(answer?.startUrl ?? url);
    // Where nobody asked for it, the link alone is enough.
    if (reason === undefined || asked === undefined) return;
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
export function watchInterrupt(signIn: AbortController): Disposable | undefined {
  if (notebook() === undefined) return undefined;
  const onInterrupt = () => signIn.abort(interruption("Run the cell again."));
  Deno.addSignalListener("SIGINT", onInterrupt);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGINT", onInterrupt) };
}
