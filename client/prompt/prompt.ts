import type { DeviceCode } from "../session_options.ts";
import { printable } from "../../backends/common/printable.ts";

/** What a sign-in without a refresh token means. */
export const NO_REFRESH =
  "The provider gave no refresh token, so you will be asked again when the token ends: ask for the " +
  "scope offline_access.";

const ENDS: Record<Exclude<Outcome["kind"], SignedIn["kind"]>, string> = {
  denied: "Not signed in: the sign-in was refused.",
  expired: "Not signed in: the code has expired. Try again for a new one.",
  interrupted: "Not signed in: the sign-in was interrupted.",
  failed: "The sign-in did not come to its end: see the error.",
};

/** A place where a person is asked to sign in, from the code to the end. */
export interface Prompt {
  /** Adds a line to what is shown. */
  note(text: string): Promise<void>;
  /** Puts the end of the sign-in in the place of the wait. Never throws. */
  end(outcome: Outcome): Promise<void>;
}

/** What a prompt is told. */
export interface PromptOptions {
  code: DeviceCode;
  /** The clock, in milliseconds since the epoch. */
  now: () => number;
}

/** How a sign-in ended, as a person is told. All texts are from outside. */
export type Outcome = SignedIn | { kind: "denied" | "expired" | "interrupted" | "failed" };

/** A sign-in that succeeded. */
export interface SignedIn {
  kind: "signed_in";
  /** The person, as far as the ID token says. */
  who: string | undefined;
  /** When the token ends, in milliseconds since the epoch. */
  expiresAt: number;
  /** Where the tokens are kept. */
  place: string;
  /** Whether the token can be refreshed without the person. */
  isRefreshable: boolean;
}

/** The page to open: with the code filled in, where the provider offers it. */
export function pageOf(code: DeviceCode): string {
  return code.verificationUriComplete ?? code.verificationUri;
}

/** The time that is left, as in 14:32. */
export function formatLeft(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The prompt in plain lines. */
export function plainPrompt({ code, now }: PromptOptions, notes: readonly string[] = []): string {
  const minutes = Math.max(1, Math.round((code.expiresAt.getTime() - now()) / 60_000));
  return [
    `Sign in at ${printable(code.issuer)}`,
    `  1. Open this page      ${printable(pageOf(code), Infinity)}`,
    `  2. Confirm this code   ${printable(code.userCode)}`,
    ...notes.map((note) => printable(note, 500)),
    `Waiting for your approval (the code ends in ${minutes} min) …`,
    "",
  ].join("\n");
}

/** How a sign-in ended, in sentences. */
export function outcomeLines(outcome: Outcome): string[] {
  if (outcome.kind !== "signed_in") return [ENDS[outcome.kind]];
  const { who, expiresAt, place, isRefreshable } = outcome;
  return [
    `Signed in${who === undefined ? "" : ` as ${printable(who)}`}.`,
    `The token is valid until ${formatTime(expiresAt)} and stored in ${printable(place, 500)}.`,
    ...(isRefreshable ? [] : [NO_REFRESH]),
  ];
}

/** Date and time where the program runs, with the zone: who reads it may be elsewhere. */
export function formatTime(ms: number): string {
  return new Intl.DateTimeFormat("sv-SE", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    timeZoneName: "short",
  }).format(ms);
}
