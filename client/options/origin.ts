import { BACKEND_VARIABLES } from "../../backends/common/backend_choice.ts";
import { isEnvGranted } from "../../backends/common/environment.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import {
  alternativesOf,
  API_KEY,
  OPTION_NAMES,
  type OptionName,
  type OptionRow,
  optionRow,
  OPTIONS,
  parseVariable,
  type SettingName,
} from "./declaration.ts";

/** A value in its place. */
export interface Found {
  readonly value: unknown;
  /** The flag, variable or file that gives it. */
  readonly from: string;
  readonly place: Place;
}

/** A place of values. */
export interface Place {
  readonly kind: "code" | "profile" | "variables" | "file";
  /** The place in a message. */
  readonly words: string;
  find(name: SettingName): Found | undefined;
}

/** A value that does not count, with the reason in words. */
export interface Passed extends Found {
  readonly because: string;
}

/** The options that name a sign-in, or a key. */
type Kind = readonly ("issuer" | "clientId" | "apiKey")[];
const SIGN_IN: Kind = ["issuer", "clientId"];
const KEY: Kind = ["apiKey"];

/** The reason for which a place is passed over. */
interface Difference {
  /** The option that it names otherwise. */
  readonly name?: Kind[number];
  readonly words: string;
}

/**
 * The values in force, by the rule for the origin of a sign-in: one walk over the places from the top. A
 * place that names another issuer, client id or key than those above it is passed over whole.
 */
export class Origin {
  readonly #places: readonly Place[];
  /** The places that are passed over, each with the reason. */
  readonly #passed = new Map<Place, Difference>();
  readonly #names = new Map<OptionName, Found>();
  /** What the highest place that names something names: a sign-in, a key, or wrongly both. */
  #kinds: readonly Kind[] = [];
  /** The profile, once it has named something: below it only the same sign-in counts. */
  #profile: Place | undefined;

  constructor(places: readonly Place[]) {
    this.#places = places;
    for (const place of places) {
      const difference = this.#differenceIn(place);
      if (difference === undefined) this.#takeNames(place);
      else this.#passed.set(place, difference);
      if (place.kind === "profile" && kindsIn(place).length > 0) this.#profile = place;
    }
  }

  /** The value in force of an option: the text of a variable is not parsed yet. */
  find(name: OptionName): Found | undefined {
    const { part } = optionRow(name);
    if (part === "name") return this.#findName(name);
    const group = alternativesOf(name);
    const giver = this.#places.find((place) =>
      this.#reasonAgainst(name, place) === undefined && group.some((one) => place.find(one))
    );
    const first = group.find((one) => giver?.find(one));
    // Several proofs of one place are an error of the caller.
    if (first === name || part === "proof") return giver?.find(name);
    return undefined;
  }

  /** The highest value of an option among those that do not count. */
  passed(name: OptionName): Passed | undefined {
    for (const place of this.#places) {
      const found = place.find(name);
      const because = this.#reasonAgainst(name, place);
      if (found !== undefined && because !== undefined) return { ...found, because };
    }
    return undefined;
  }

  /** The place that names the store. Only code wins over a platform that wants none. */
  placeOfStore(): Place | undefined {
    const isFirst = (place: Place) =>
      place.kind === "code" || place.find("backend")?.from === BACKEND_VARIABLES.noPersist;
    const places = this.#places.filter((place) => place.find("backend"));
    return places.find(isFirst) ?? places[0];
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
      const row = optionRow(name);
      const isOfOtherFlow = row.part === "subject" && options.flow !== "token_exchange";
      if (isOfOtherFlow || !isWanted(row)) continue;
      const { place, value } = this.find(name) ?? {};
      if (place === undefined || place.kind === "code") continue;
      options[name] = value;
      if (place.kind === "variables") options[name] = parseVariable(name, `${value}`, action);
    }
    return options as T;
  }

  #findName(name: OptionName) {
    const found = this.#names.get(name);
    if (found !== undefined || name !== "issuer") return found;
    // For a client of one's own at the issuer that is there, where no place names the client.
    const spare = this.#places.find((place) =>
      this.#passed.get(place)?.name === "clientId" && place.find(name)
    );
    return spare?.find(name);
  }

  /** What a place names otherwise than the places above it; nothing where it counts. */
  #differenceIn(place: Place): Difference | undefined {
    const [own] = this.#kinds;
    if (own === undefined) return undefined;
    for (const name of own) {
      const { variable } = OPTIONS[name];
      if (place.kind === "variables" && !isEnvGranted(variable)) {
        return { name, words: `Deno does not permit ${variable}` };
      }
      const above = this.#names.get(name);
      if (isSameName(name, above, place.find(name)) === false) {
        return { name, words: `that place names another ${name} than ${above!.place.words}` };
      }
    }
    // Within the variables, a sign-in and a key pass over each other's names alone.
    if (place.kind !== "variables" && kindsIn(place).some((kind) => kind !== own)) {
      return { words: "that place names a sign-in or a key, unlike those above it" };
    }
    const isSame = SIGN_IN.every((name) =>
      isSameName(name, this.#names.get(name), place.find(name))
    );
    if (this.#profile === undefined || isSame) return undefined;
    return { words: `that place does not name the issuer and clientId of ${this.#profile.words}` };
  }

  #takeNames(place: Place) {
    if (this.#kinds.length === 0) this.#kinds = kindsIn(place);
    for (const name of this.#kinds.flat()) {
      const found = this.#names.get(name) ?? place.find(name);
      if (found !== undefined) this.#names.set(name, found);
    }
  }

  /** Why a place may not give an option; nothing where it may. */
  #reasonAgainst(name: OptionName, place: Place) {
    const { group, part } = optionRow(name);
    const [kind, other] = this.#kinds;
    if (kind === SIGN_IN && group === "api_key" && !other) return "a sign-in is in force";
    const isOfKey = ["api_key", "api", "model", "person"].includes(group) && part !== "person";
    if (kind === KEY && !isOfKey) return "an API key is in force";
    const isFree = part === "free" || part === "person";
    if (isFree || place.kind === "code") return undefined;
    const isOfClient = part === "proof" || part === "subject";
    if (!isOfClient) return this.#passed.get(place)?.words;
    const isSame = SIGN_IN.every((one) => isSameName(one, this.find(one), place.find(one)));
    if (isSame) return undefined;
    return "that place does not name the issuer and clientId in force";
  }
}

/** The kinds that a place names. Half a key is none beside a sign-in of the variables. */
function kindsIn(place: Place) {
  const isThere = (name: OptionName) => place.find(name) !== undefined;
  const kinds: Kind[] = [];
  if (SIGN_IN.some(isThere)) kinds.push(SIGN_IN);
  if (place.kind === "code" && API_KEY.some(isThere)) return [...kinds, KEY];
  const isKey = isThere("apiKey");
  const isWhole = isKey && (isThere("apiSecret") || isThere("apiSecretFile"));
  if (isWhole || isKey && kinds.length === 0) kinds.push(KEY);
  return kinds;
}

/** Whether two values name the same, as keys are normalised; `undefined` where one is missing. */
function isSameName(name: OptionName, one?: Found, other?: Found) {
  if (one === undefined || other === undefined) return undefined;
  const normalize = name === "issuer" ? normalizeIssuer : normalizeClientId;
  return normalize(`${one.value}`) === normalize(`${other.value}`);
}
