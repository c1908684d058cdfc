import { Random } from "./random.ts";

/** The actions of a person. */
export type CrowdAction = "sign in" | "start" | "refresh" | "sign out";

/** One action of one person, in one of the processes. */
export interface Moment {
  /** Time after the beginning of the phase, in milliseconds. */
  readonly atMs: number;
  readonly action: CrowdAction;
  readonly person: number;
  /** Which of a person's notebooks. Each runs in another process. */
  readonly notebook: number;
  /** How far the clock of the program is ahead, so that the token before a refresh has expired. */
  readonly hours: number;
}

/** How many people there are, and what each does while they work. */
export interface CrowdSize {
  readonly people: number;
  /** Starts of each notebook. */
  readonly starts: number;
  /** Refreshes of each person: all notebooks start then, with one expired token. */
  readonly refreshes: number;
}

/** Notebooks of one person. */
export const NOTEBOOKS = 2;
/** More than a token of the provider lives. */
const HOURS = 2;

/** Makes the phases of a crowd. The same seed makes the same ones. */
export class CrowdPlan {
  readonly #size: CrowdSize;
  readonly #random: Random;
  #hours = 0;

  constructor(size: CrowdSize, seed: number) {
    this.#size = size;
    this.#random = new Random(seed);
  }

  /** Each person does it once, at any time. */
  once(action: CrowdAction, ms: number): Moment[] {
    return this.#people((person) => [this.#moment({ person, action, atMs: this.#at(0, ms) })]);
  }

  /** All notebooks of everybody start at once, with expired tokens. */
  rush(): Moment[] {
    this.#hours += HOURS;
    return this.#people((person) => this.#notebooks({ person, action: "refresh", atMs: 0 }));
  }

  /** Starts at any time, and refreshes: each person has one in each part of the time. */
  work(ms: number): Moment[] {
    const { starts, refreshes } = this.#size;
    const hours = this.#hours;
    this.#hours += HOURS * refreshes;
    return this.#people((person) => {
      const part = ms / Math.max(refreshes, 1);
      const expiries = Array.from({ length: refreshes }, (_, n) => this.#at(n * part, part));
      const hoursAt = (atMs: number) => hours + HOURS * expiries.filter((at) => at <= atMs).length;
      const started = Array.from({ length: NOTEBOOKS * starts }, (_, n) => {
        const atMs = this.#at(0, ms);
        const notebook = n % NOTEBOOKS;
        return this.#moment({ person, action: "start", atMs, notebook, hours: hoursAt(atMs) });
      });
      const refreshed = expiries.flatMap((atMs) =>
        this.#notebooks({ person, action: "refresh", atMs, hours: hoursAt(atMs) })
      );
      return [...started, ...refreshed];
    });
  }

  #people(momentsOf: (person: number) => Moment[]): Moment[] {
    return Array.from({ length: this.#size.people }, (_, person) => momentsOf(person)).flat();
  }

  #notebooks(moment: Pick<Moment, "person" | "action" | "atMs"> & Partial<Moment>): Moment[] {
    return Array.from(
      { length: NOTEBOOKS },
      (_, notebook) => this.#moment({ ...moment, notebook }),
    );
  }

  #moment(moment: Pick<Moment, "person" | "action" | "atMs"> & Partial<Moment>): Moment {
    return { notebook: 0, hours: this.#hours, ...moment };
  }

  #at(fromMs: number, ms: number): number {
    return this.#random.int(Math.ceil(fromMs), Math.ceil(fromMs + ms));
  }
}
