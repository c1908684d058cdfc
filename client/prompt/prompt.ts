import type { Clock } from "../../backends/common/promises.ts";
import { printable } from "../../backends/common/printable.ts";
import type { SessionStatus } from "../session.ts";

/** The consequence of a sign-in without a refresh token. */
const NO_REFRESH =
  "The provider gave no refresh token, so you will be asked again when the token ends. Ask for the " +
  "scope offline_access (the default has it), and have it allowed for this client. In the browser " +
  'some providers want { prompt: "consent" } as well ' +
  "(authorizationParameters, or --parameter prompt=consent of the command line).";

const ENDS: Record<Exclude<Outcome["kind"], SignedIn["kind"]>, string> = {
  denied: "Not signed in: the sign-in was refused.",
  expired: "Not signed in: the time for it is over. Try again.",
  interrupted: "Not signed in: the sign-in was interrupted.",
  failed: "The sign-in did not come to its end: see the error.",
};

/** The reason why a page closes that nobody has used. */
const ELSEWHERE = "You signed in at another prompt, and this program uses that sign-in.";

/** The way on for a code that was refused, or that nobody approved. */
const INSTEAD = 'Did the page refuse the code by a policy? Then sign in with flow: "browser".';

export interface SignInPage {
  issuer: string;
  url: string;
  /** The address in short, as the text of a link. */
  shortUrl: string;
  /** The code that the person enters on the page, or compares where the page shows it already. */
  code?: { text: string; isFilledIn: boolean };
  /** The end of the page, and of its code. */
  expiresAt: Date;
  /** For a page whose answer comes back to this computer: the other ways for it. */
  answer?: PageAnswer;
}

/** The address that a browser ends on, and the ways for it from another machine. */
export interface PageAnswer {
  /** The address without its parameters. */
  redirectUri: string;
  /** The address to open in a browser of this computer: others can read it, and it leads to the page. */
  startUrl?: string;
  /** Takes an address. Gives the reason where it is of no use. */
  submit?: (address: string) => string | undefined;
  /** Where a form of the notebook reaches this program, if a proxy leads here. */
  form?: { port: number; path: string };
  /** The way for an address where the page is shown. */
  handIn?: string;
}

/** A place where a person is asked to sign in, from the page to the outcome. */
export interface Prompt {
  /** Adds a line to what is shown. */
  note(text: string): Promise<void>;
  /** Puts the end of the sign-in in the place of the wait. Never throws. */
  end(outcome: Outcome): Promise<void>;
}

export interface PromptOptions {
  page: SignInPage;
  now: Clock;
}

/** The end of a sign-in, as a person sees it. All texts are from outside. */
export type Outcome = SignedIn | {
  kind: "denied" | "expired" | "interrupted" | "failed";
  /** Whether the page asked for a code, which a policy may forbid. */
  isByCode?: boolean;
};

export interface SignedIn {
  kind: "signed_in";
  /** The person, as far as the ID token says. */
  who: string | undefined;
  /** When the token ends, in milliseconds since the epoch. */
  expiresAt: number;
  place: string;
  /** Whether the token can be refreshed without the person. */
  isRefreshable: boolean;
  /** Whether another program has signed in, and the page was of no use. */
  isElsewhere?: boolean;
}

/** The outcome that a session is the proof of. */
export function signedInAs(status: SessionStatus): SignedIn {
  const { email, name, subject, expiresAt, backend, refreshable } = status;
  return {
    kind: "signed_in",
    who: email ?? name ?? subject,
    expiresAt: expiresAt?.getTime() ?? 0,
    place: backend?.location ?? backend?.name ?? "",
    isRefreshable: refreshable === true,
  };
}

/** The page in plain lines, which are true whenever they are read. */
export function plainPrompt(page: SignInPage, notes: readonly string[] = []): string {
  const { issuer, url, code, answer, expiresAt } = page;
  const end = formatTime(expiresAt.getTime());
  return [
    `Sign in at ${printable(issuer)}`,
    `  1. Open this page      ${printable(url, Infinity)}`,
    ...(code ? [`  2. Confirm this code   ${printable(code.text)}`] : []),
    ...(answer ? answerLines(answer) : []).map((line) => `  ${line}`),
    ...notes.map((note) => printable(note, 500)),
    `Waiting for your approval (the ${code ? "code" : "link"} ends at ${end}) …`,
    "",
  ].join("\n");
}

/** The way of the answer back to this program, in sentences. */
export function answerLines({ redirectUri, handIn }: PageAnswer): string[] {
  return [
    `2. Sign in there. The browser then goes to ${printable(redirectUri, 200)}.`,
    ...(handIn === undefined ? ["The browser has to be on this computer."] : [
      "Does that page not load, as from another machine?",
      handIn,
    ]),
  ];
}

export function outcomeLines(outcome: Outcome): string[] {
  if (outcome.kind !== "signed_in") {
    const isRefused = outcome.kind === "denied" || outcome.kind === "expired";
    return [ENDS[outcome.kind], ...(outcome.isByCode && isRefused ? [INSTEAD] : [])];
  }
  const { who, expiresAt, place, isRefreshable, isElsewhere } = outcome;
  return [
    `Signed in${who === undefined ? "" : ` as ${printable(who)}`}.`,
    `The token is valid until ${formatTime(expiresAt)} and stored in ${printable(place, 500)}.`,
    ...(isElsewhere ? [ELSEWHERE] : []),
    ...(isRefreshable ? [] : [NO_REFRESH]),
  ];
}

/**
 * Date and time where the program runs, with the offset from UTC, since the reader may be elsewhere:
 * "2026-11-27 08:07 +01:00". JSON has ISO 8601 in UTC instead.
 */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  const offset = -date.getTimezoneOffset();
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map(twoDigits).join("-");
  return `${day} ${timeOfDay(date.getHours(), date.getMinutes())} ${offset < 0 ? "-" : "+"}` +
    timeOfDay(Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60);
}

function timeOfDay(hours: number, minutes: number): string {
  return `${twoDigits(hours)}:${twoDigits(minutes)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
