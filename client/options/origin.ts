import { BACKEND_VARIABLES } from "../../backends/common/backend_choice.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import {
  alternativesOf,
  API_KEY,
  OPTION_NAMES,
  type OptionName,
  type OptionRow,
  optionRow,
  parseVariable,
  type SettingName,
  STORE_SETTINGS,
} from "./declaration.ts";

/** A value, and the flag, variable or file that gives it. */
export interface Found {
  readonly value: unknown;
  readonly from: string;
}

/** A place of values. */
export interface Place {
  readonly kind: "code" | "profile" | "variables" | "file";
  /** The place in a message. */
  readonly words: string;
  find(name: SettingName): Found | undefined;
  /** Whether Deno keeps the place's own value of an option out of sight. */
  isHidden(name: OptionName): boolean;
}

/** A value in force. */
export interface Taken extends Found {
  readonly place: Place;
}

/** A value that does not count, with the reason in words. */
export interface Passed extends Taken {
  readonly because: string;
}

/** The reason for which a place is passed over: what it names otherwise, and the reason in words. */
interface Difference {
  readonly name?: Name;
  readonly words: string;
}

interface JudgedPlace {
  readonly place: Place;
  /** Absent where the place counts. */
  readonly difference: Difference | undefined;
}

/** The options that name a sign-in, or a key. */
type Name = "issuer" | "clientId" | "apiKey";
const SIGN_IN: readonly Name[] = ["issuer", "clientId"];
const KEY: readonly Name[] = ["apiKey"];

/**
 * The values in force, by the rule for the origin of a sign-in: one walk over the places from the top. A
 * place that names another issuer, client id or key than those above it is passed over whole.
 */
export class Origin {
  readonly #places: JudgedPlace[] = [];
  readonly #names = new Map<Name, Taken>();
  /** What the highest place that names something names: a sign-in, a key, or wrongly both. */
  #kinds: readonly (readonly Name[])[] = [];
  /** The profile, once it has named something: below it only the same sign-in counts. */
  #profile: Place | undefined;

  constructor(places: readonly Place[]) {
    for (const place of places) {
      const difference = this.#differenceIn(place);
      this.#places.push({ place, difference });
      if (difference === undefined) this.#takeNames(place);
      if (place.kind === "profile" && kindsIn(place).length > 0) this.#profile = place;
    }
    this.#takeSpareIssuer();
  }

  /** The value in force of a setting. Names a variable's text, too, which is not parsed yet. */
  find(name: SettingName): Taken | undefined {
    if (isName(name)) return this.#names.get(name);
    if (name === "backend") return firstWith(this.#placesOfStore(), name);
    if (name === "backendOptions") return inPlace(this.find("backend")?.place, name);
    if (!this.#isServed(name)) return undefined;
    const group = alternativesOf(name);
    const giver = this.#givers(name).find((place) => group.some((one) => place.find(one)));
    const isReplaced = optionRow(name).part !== "proof" &&
      group.find((one) => giver?.find(one)) !== name;
    return isReplaced ? undefined : inPlace(giver, name);
  }

  /** Whether code or a file gives an option, which is then checked before any work. */
  isChosen(name: OptionName): boolean {
    const taken = this.find(name);
    return taken !== undefined && taken.place.kind !== "variables";
  }

  /** The highest value of a setting among those that do not count. */
  passed(name: SettingName): Passed | undefined {
    if (isOfStore(name)) return undefined;
    for (const { place, difference } of this.#places) {
      const taken = inPlace(place, name);
      const because = difference?.words ?? this.#reasonAgainst(name, place);
      if (taken !== undefined && because !== undefined) return { ...taken, because };
    }
    return undefined;
  }

  /**
   * Options with the values in force of all places.
   *
   * @param action The caller's action, as in "Cannot {action}".
   * @param isWanted The options that the caller uses: no variable of another one is read.
   * @throws {ValidMindAuthError} `invalid_options` for a variable that does not fit.
   */
  complete<T extends object>(given: T, action: string, isWanted: (row: OptionRow) => boolean): T {
    const options = { ...given } as Record<string, unknown>;
    for (const name of OPTION_NAMES) {
      const taken = isWanted(optionRow(name)) ? this.find(name) : undefined;
      if (taken === undefined || taken.place.kind === "code") continue;
      options[name] = taken.place.kind === "variables"
        ? parseVariable(name, `${taken.value}`, action)
        : taken.value;
    }
    return options as T;
  }

  /** What a place names otherwise than the places above it; nothing where it counts. */
  #differenceIn(place: Place): Difference | undefined {
    const [own] = this.#kinds;
    if (own === undefined) return undefined;
    for (const name of own) {
      if (place.isHidden(name)) {
        return { name, words: `Deno does not permit its ${optionRow(name).variable}` };
      }
      const above = this.#names.get(name);
      const found = place.find(name);
      if (above && found && !isSame(name, above, found)) {
        return { name, words: `it names another ${name} than ${above.place.words}` };
      }
    }
    // Within the variables, a sign-in and a key pass over each other's names alone.
    const isOther = kindsIn(place).some((kind) => kind !== own);
    if (isOther && place.kind !== "variables") {
      const other = own === KEY ? "a sign-in" : "an API key";
      return { words: `it names ${other}, unlike ${this.#namer().words}` };
    }
    if (this.#profile === undefined || this.#isOfSignIn(place)) return undefined;
    return { words: `it does not name the same issuer and clientId as ${this.#profile.words}` };
  }

  #takeNames(place: Place): void {
    if (this.#kinds.length === 0) this.#kinds = kindsIn(place);
    for (const name of this.#kinds.flat()) {
      const taken = inPlace(place, name);
      if (taken !== undefined && !this.#names.has(name)) this.#names.set(name, taken);
    }
  }

  /** For a client of one's own at the issuer that is there, where no place names the client. */
  #takeSpareIssuer(): void {
    if (this.#names.has("issuer") || !this.#names.has("clientId")) return;
    const spare = this.#places.find(({ place, difference }) =>
      difference?.name === "clientId" && place.find("issuer")
    );
    const taken = inPlace(spare?.place, "issuer");
    if (taken !== undefined) this.#names.set("issuer", taken);
  }

  /** The place that names the sign-in or the key. */
  #namer(): Place {
    const [first] = this.#names.values();
    return first?.place ?? this.#places[0]!.place;
  }

  /** Whether a place names the issuer and the client in force. */
  #isOfSignIn(place: Place): boolean {
    return SIGN_IN.every((name) => {
      const [taken, found] = [this.#names.get(name), place.find(name)];
      return taken && found && isSame(name, taken, found);
    });
  }

  /** Whether an option serves a sign-in or a key, whichever is in force. */
  #isServed(name: OptionName): boolean {
    if (this.#kinds.length !== 1) return true;
    const { group, part } = optionRow(name);
    if (this.#kinds[0] === SIGN_IN) return group !== "api_key";
    return ["api_key", "api", "model", "person"].includes(group) && part !== "person";
  }

  /** The places that may give an option, from the top. */
  #givers(name: OptionName): Place[] {
    const { part } = optionRow(name);
    const isOpen = ({ place, difference }: JudgedPlace) => {
      const isFree = part === "free" || part === "person";
      if (isFree || place.kind === "code") return true;
      const isOfClient = part === "proof" || part === "subject";
      return isOfClient ? this.#isOfSignIn(place) : difference === undefined;
    };
    return this.#places.filter(isOpen).map(({ place }) => place);
  }

  /** Nothing but code wins over a platform that wants no store. */
  #placesOfStore(): Place[] {
    const isFirst = (place: Place) =>
      place.kind === "code" || place.find("backend")?.from === BACKEND_VARIABLES.noPersist;
    const places = this.#places.map(({ place }) => place);
    return [...places.filter(isFirst), ...places.filter((place) => !isFirst(place))];
  }

  /** Why a value does not count in a place that is not passed over. */
  #reasonAgainst(name: OptionName, place: Place): string | undefined {
    if (!isName(name) && !this.#isServed(name)) {
      return `${this.#kinds[0] === KEY ? "an API key" : "a sign-in"} is in force`;
    }
    if (isName(name) || this.#givers(name).includes(place)) return undefined;
    return "it does not name the issuer and clientId in force";
  }
}

/** The kinds that a place names. Half a key is none beside a sign-in of the variables. */
function kindsIn(place: Place): (readonly Name[])[] {
  const isSignIn = SIGN_IN.some((name) => place.find(name));
  const isWholeKey = place.find("apiSecret") ?? place.find("apiSecretFile");
  let isKey = place.find("apiKey") !== undefined;
  if (place.kind === "code") isKey = API_KEY.some((name) => place.find(name));
  else if (isSignIn && !isWholeKey) isKey = false;
  return [...(isSignIn ? [SIGN_IN] : []), ...(isKey ? [KEY] : [])];
}

function isName(name: SettingName): name is Name {
  return [...SIGN_IN, ...KEY].some((one) => one === name);
}

function isOfStore(name: SettingName): name is keyof typeof STORE_SETTINGS {
  return Object.hasOwn(STORE_SETTINGS, name);
}

function firstWith(places: readonly Place[], name: SettingName): Taken | undefined {
  return inPlace(places.find((place) => place.find(name)), name);
}

function inPlace(place: Place | undefined, name: SettingName): Taken | undefined {
  const found = place?.find(name);
  return found && { ...found, place: place! };
}

/** Whether two values name the same, as keys are normalised. */
function isSame(name: Name, one: Found, other: Found): boolean {
  const normal = ({ value }: Found) =>
    name === "issuer" ? normalizeIssuer(`${value}`) : normalizeClientId(`${value}`);
  return normal(one) === normal(other);
}
