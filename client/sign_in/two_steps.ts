import { given } from "../../backends/common/json.ts";
import { type ApiDemand, invalidOptions, throwToCaller } from "../errors.ts";
import { type OptionName, optionRow } from "../options/declaration.ts";
import { checkSessionOptions, demandIn } from "../options/resolve_options.ts";
import type { Session, SignInOptions, StartedSignIn } from "../session.ts";
import type { AuthorizationPrompt, InitOptions, SessionOptions } from "../session_options.ts";
import { ON_LINK } from "./flow.ts";

const ACTION = "start the sign-in";

/**
 * Starts a sign-in in the browser, and gives it back as soon as its link is shown: one cell shows the link,
 * and another hands in the address.
 */
export async function startInBrowser(
  openSession: (options: SessionOptions, demand?: ApiDemand) => Promise<Session>,
  { for: wanted, ...options }: SessionOptions & Partial<SignInOptions>,
): Promise<StartedSignIn> {
  const asked = checkSessionOptions(options, ACTION, false);
  const demand = wanted && demandIn(ACTION, { for: wanted });
  checkFlow(asked);
  const stop = new AbortController();
  const signal = AbortSignal.any([asked.signal ?? [], stop.signal].flat());
  const { promise: shown, resolve: onLink } = Promise.withResolvers<AuthorizationPrompt>();
  const call = { ...asked, flow: "browser", signal, [ON_LINK]: onLink } as SessionOptions;
  const session = openSession(call, demand).catch(throwToCaller);
  let hasEnded = false;
  const end = session.then(() => undefined).finally(() => hasEnded = true);
  const link = await Promise.race([shown, end]);
  return {
    ...given({ url: link?.url, expiresAt: link?.expiresAt }),
    async finish(address) {
      // At the end its own error says more than a refusal of the address, and a session needs none.
      if (address !== undefined && !hasEnded) await link?.submit(address);
      return await session;
    },
    async [Symbol.asyncDispose]() {
      stop.abort(givenUp());
      await session.catch(() => undefined);
    },
  };
}

function givenUp() {
  const reason = "Cannot sign in: the sign-in was given up. Start it again.";
  return new DOMException(reason, "AbortError");
}

function checkFlow({ flow = "browser" }: SessionOptions) {
  if (flow === "auto" || flow === "browser") return;
  throw invalidOptions(
    ACTION,
    `startSignIn() is for the browser, and the option flow is "${flow}"`,
    "Leave flow out, or call createSession().",
  );
}

/** The second step of a sign-in in two steps, as its first one names it. */
export const NEXT_CELL = [
  "Copy its whole address, which can be used once. Run in the next cell:",
  'const session = await signIn.finish("<address>"); // signIn is the result of startSignIn()',
];

/** This module by its own address: a notebook may have imported it, or parts of it, by any name. */
const MODULE = JSON.stringify(import.meta.url.replace("client/sign_in/two_steps", "mod"));

/**
 * The way to hand in an address where a notebook's cell waits for the browser. The two cells sign in to
 * the entry of the waiting call, by its own options. The call itself then finds that sign-in, so that
 * nothing of it is lost.
 *
 * @param call The options of the call.
 * @param demand The demand of an API that the sign-in has to meet.
 */
export function twoCells(call: InitOptions = {}, demand?: ApiDemand) {
  const members = Object.entries(call)
    .filter(([name, value]) => value !== undefined && isOfSignIn(name as OptionName))
    .map(([name, value]) => `${name}: ${literal(name as OptionName, value)}`);
  let last = "run this cell again";
  if (demand) {
    members.push(`for: ${JSON.stringify({ demand })}`);
    last = "repeat your call";
  }
  const options = members.length === 0 ? "" : `{ ${members.join(", ")} }`;
  const cells = [
    `const signIn = await (await import(${MODULE})).startSignIn(${options});`,
    'await signIn.finish("<address of the last page>");',
  ];
  return { advice: `use two cells. Then ${last}.`, cells };
}

/** Whether an option counts for a sign-in in two steps, which is one in the browser. */
function isOfSignIn(name: OptionName) {
  return optionRow(name).group !== "model" && name !== "flow" && name !== "signal";
}

const AS_HERE = "<as in this cell>";

/** A value as code. One that is secret, or that has no text, stays with the person. */
function literal(name: OptionName, value: unknown) {
  const isCode = ["function", "object"].includes(typeof value) &&
    name !== "authorizationParameters";
  if (isCode || optionRow(name).secret) return AS_HERE;
  // Such as id_token_hint, among the parameters.
  return JSON.stringify(value, (member, one) => member.includes("token") ? AS_HERE : one);
}
