import { untilAborted } from "../../backends/common/delay.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { type Bearer, bearerOf, coversScope, isFresh, SKEW_SECONDS } from "../entry.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { AskOptions } from "../sign_in/device.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { TokenRenewal } from "./renewal.ts";

/** What {@linkcode TokenSource} is told. */
export interface TokenSourceOptions {
  identity: OidcIdentity;
  stored: StoredCredential;
  /** Which token is the bearer. */
  bearer: "access_token" | "id_token";
  runtime: Runtime;
  /** Whether a person may be asked. */
  interactive: boolean;
  /** How a person is asked. */
  ask: AskOptions;
  /** Runs before the provider is needed at sign-in, and may refuse. */
  beforeProvider: () => Promise<void>;
}

/**
 * Gives one identity's bearer token: from memory or the store, and where these do not serve, by what
 * `TokenRenewal` does, which is loaded then.
 */
export class TokenSource {
  readonly #options: TokenSourceOptions;
  readonly #held: HeldTokens;
  #renewal: Promise<TokenRenewal> | undefined;

  constructor(options: TokenSourceOptions) {
    this.#options = options;
    this.#held = new HeldTokens(options.bearer);
  }

  /** The tokens in memory, for display. */
  get held(): Pick<HeldTokens, "entry" | "bearer"> {
    return this.#held;
  }

  /** From the store without any network where possible, else by refresh, else by the person. */
  async signIn(signal?: AbortSignal): Promise<void> {
    const { stored, identity, runtime } = this.#options;
    // Tokens that wait to be stored, and keys, are the other half's business.
    const isSimple = stored.pending === undefined && !identity.dpop;
    const entry = isSimple ? await untilAborted(stored.read(), signal) : undefined;
    if (entry !== undefined && !entry.dpop_key && coversScope(entry, identity.scope)) {
      this.#held.adopt(entry);
      if (isFresh(this.#held.bearer, runtime.now())) return;
    }
    const renewal = await this.#load();
    await renewal.signIn(isSimple ? { entry } : undefined, signal);
  }

  /** The bearer token in memory, while it needs no second look. */
  freshToken(): string | undefined {
    return this.#held.fresh(this.#options.runtime.now())?.token;
  }

  /**
   * The bearer token, refreshed if it is about to end. Never asks the person: a call in the
   * background would ask out of nowhere.
   *
   * @param rejected A bearer that the API refused, to be replaced unless somebody already has.
   */
  async accessToken(rejected?: string, signal?: AbortSignal): Promise<string> {
    return (await this.#current(rejected, signal)).token;
  }

  /** The same, with the key that the token is bound to, if it is. */
  async credential(
    rejected?: string,
    signal?: AbortSignal,
  ): Promise<{ token: string; dpopKey?: CryptoKeyPair }> {
    const bearer = await this.#current(rejected, signal);
    if (!this.#options.identity.dpop) return { token: bearer.token };
    return { token: bearer.token, dpopKey: await (await this.#load()).keyOf(bearer) };
  }

  /** Forgets the tokens of this session; the store is the caller's business. */
  forget(): void {
    this.#held.forget();
    this.#renewal?.then((renewal) => renewal.forgetKey()).catch(() => undefined);
  }

  /** Loads what a refresh needs, while it may still be read from the disk or fetched. */
  async prepareRefresh(): Promise<void> {
    await this.provider();
  }

  /** The provider, loaded at the first need: a start from a stored token never needs it. */
  async provider(): Promise<OidcProvider> {
    return await (await this.#load()).provider();
  }

  async #current(rejected: string | undefined, signal?: AbortSignal): Promise<Bearer> {
    const fresh = rejected === undefined && this.#held.fresh(this.#options.runtime.now());
    return fresh || await (await this.#load()).renew(rejected, signal);
  }

  #load(): Promise<TokenRenewal> {
    this.#renewal ??= import("./renewal.ts").then(({ TokenRenewal }) =>
      new TokenRenewal(this.#options, this.#held)
    );
    return this.#renewal;
  }
}

/** The tokens that a session has in memory. */
export class HeldTokens {
  readonly #kind: "access_token" | "id_token";
  #entry: OidcCredentials | undefined;
  #bearer: Bearer | undefined;
  /** Until when the bearer is given out without a look at anything else. */
  #freshUntil = 0;
  #forgets = 0;

  /** @param kind Which token is the bearer. */
  constructor(kind: "access_token" | "id_token") {
    this.#kind = kind;
  }

  /** The entry in use, for display. */
  get entry(): OidcCredentials | undefined {
    return this.#entry;
  }

  /** The bearer in use, fresh or not. */
  get bearer(): Bearer | undefined {
    return this.#bearer;
  }

  /** How often the tokens were forgotten. */
  get forgets(): number {
    return this.#forgets;
  }

  /** The bearer, as long as it needs no second look. */
  fresh(now: number): Bearer | undefined {
    return now < this.#freshUntil ? this.#bearer : undefined;
  }

  /** Takes over what is stored. */
  adopt(entry: OidcCredentials): void {
    this.#entry = entry;
    this.#bearer = bearerOf(entry, this.#kind);
    this.#freshUntil = (this.#bearer?.expiresAt ?? 0) - SKEW_SECONDS * 1000;
  }

  /** Gives the bearer out until then, whatever else is known of it. */
  useUntil(time: number): void {
    this.#freshUntil = time;
  }

  /** Drops the tokens. */
  forget(): void {
    this.#forgets++;
    this.#entry = undefined;
    this.#bearer = undefined;
    this.#freshUntil = 0;
  }
}

/** What an entry takes the place of: a certain grant, or after a new sign-in whatever is there. */
export type Replaces = { grant: string | undefined } | "anything";

/** An entry that could not be stored. */
export interface Unstored {
  entry: OidcCredentials;
  replaces: Replaces;
}

/** By store, not by session: the next `init()` in this process must find the tokens too. */
const unstored = new WeakMap<object, Map<string, Unstored>>();
/** One object for all instances that lead to one persistent store. */
const stores = new Map<string, object>();

/**
 * One credential in a backend, as every start reads it. What is written, locked or removed is
 * `CredentialStore`'s, which is loaded when it is needed.
 */
export class StoredCredential {
  readonly backend: OidcCredentialsBackend;
  readonly key: string;
  /** Stands for the store itself: the same for two backends that lead to one place. */
  readonly identity: object;
  constructor(backend: OidcCredentialsBackend, key: string) {
    this.backend = backend;
    this.key = key;
    this.identity = storeIdentity(backend);
  }

  /** The keys of a backend's entries that could not be stored yet. */
  static unstoredKeys(backend: OidcCredentialsBackend): string[] {
    return [...unstored.get(storeIdentity(backend))?.keys() ?? []];
  }

  /** The entry that could not be stored yet, if there is one. */
  get pending(): OidcCredentials | undefined {
    return unstored.get(this.identity)?.get(this.key)?.entry;
  }

  /** What the backend holds. */
  async read(): Promise<OidcCredentials | undefined> {
    try {
      return await this.backend.get(this.key) ?? undefined;
    } catch (error) {
      const { backendError } = await import("../../backends/common/describe_backend.ts");
      throw backendError("read credentials from", this.backend, error);
    }
  }
}

/** What could not be written to a store yet, by key. */
export function unstoredEntries(identity: object): Map<string, Unstored> {
  return getOrSet(unstored, identity, () => new Map());
}

function storeIdentity(backend: OidcCredentialsBackend): object {
  const { persistent, location } = backend;
  if (persistent !== true || typeof location !== "string") return backend;
  return getOrSet(stores, `${backend.constructor?.name} ${location}`, () => ({}));
}

interface MapLike<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** What a map has under a key, made where it has nothing. */
export function getOrSet<K, V>(map: MapLike<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
