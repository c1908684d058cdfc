import { type OptionName, optionRow } from "../options/declaration.ts";
import type { InitOptions } from "../session_options.ts";

/** The second step of a sign-in in two steps, as its first one names it. */
export const NEXT_CELL = [
  "Copy its whole address, which can be used once. Run in the next cell:",
  'const session = await signIn.finish("<address>");',
];

/**
 * The way to hand in an address where a notebook's cell waits for the browser. The two cells sign in to
 * the entry of the waiting call, by its own options. The call itself then finds that sign-in, so that
 * nothing of it is lost.
 *
 * @param call The options of the call.
 */
export function twoCells(call: InitOptions = {}): string[] {
  const given = Object.entries(call)
    .filter(([name, value]) => value !== undefined && isOfSignIn(name as OptionName))
    .map(([name, value]) => `${name}: ${literal(name as OptionName, value)}`);
  const options = given.length === 0 ? "" : `{ ${given.join(", ")} }`;
  return [
    "Interrupt this cell, and use two cells. Then run this cell again.",
    `const signIn = await vm.startSignIn(${options}); // open its link`,
    'await signIn.finish("<address of the last page>");',
  ];
}

/** Whether an option counts for a sign-in in two steps, which is one in the browser. */
function isOfSignIn(name: OptionName): boolean {
  return optionRow(name).group !== "model" && name !== "flow" && name !== "signal";
}

/** A value as code. One that is secret, or that has no text, stays with the person. */
function literal(name: OptionName, value: unknown): string {
  const isCode = ["function", "object"].includes(typeof value) &&
    name !== "authorizationParameters";
  return isCode || optionRow(name).secret ? "<as in this cell>" : JSON.stringify(value);
}
