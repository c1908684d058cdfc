import type { DeviceCode } from "../init_options.ts";

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
