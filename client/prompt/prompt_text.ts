import type { DeviceCode } from "../init_options.ts";
import { printable } from "../printable.ts";
import type { Outcome, SignedIn } from "./prompt.ts";

/** The page to open: with the code filled in, where the provider offers it. */
export function pageOf(code: DeviceCode): string {
  return code.verificationUriComplete ?? code.verificationUri;
}

/** The time that is left, as in 14:32. */
export function formatLeft(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
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
