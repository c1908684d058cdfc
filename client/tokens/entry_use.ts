import { backendName } from "../../backends/common/describe_backend.ts";
import { Once } from "../../backends/common/promises.ts";
import { remember } from "../../backends/common/redaction.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  type AnswerTime,
  asksNobody,
  type Bearer,
  bearerOf,
  coversScope,
  endOf,
  isFresh,
  type TokenSet,
} from "../entry/bearer.ts";
import type { ApiDemand, ValidMindAuthError } from "../errors.ts";
import { importDpopKey } from "../provider/dpop_key.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { loginRequired } from "./login_required.ts";
import { followProvider, toEntry } from "./new_entry.ts";
import { subOf, type TokenSourceOptions } from "./held_tokens.ts";
import { CredentialStore } from "./store.ts";

/** The reason of an entry whose tokens cannot be used for lack of their key. */
export const NO_KEY = "the key of the stored tokens is missing or damaged";

/** The reason of an entry with less scope than this session asks for. */
const OTHER_SCOPE =
  "the stored sign-in is for another scope. To use both at once, give each a profile of its own";

const NO_REFRESH_TOKEN =
  "there is no refresh token. Ask for the scope offline_access (the default has it), and have it allowed " +
  "for this client. In the browser flow some providers also need the authorization parameter " +
  "prompt=consent";

/** The used refresh tokens of this process. A provider takes a second use for a theft. */
const spent = new Set<string>();

/** Remembers, for this process, that a refresh token is used up. */
export function markSpent(token: string): void {
  remember(spent, [token]);
}

/** One session's stored entry: whether it serves the session, and the means to get another one. */
export class EntryUse {
  readonly store: CredentialStore;
  /** Whether a new token needs no stored one, and no person. */
  readonly isAlone: boolean;
  readonly #provider = new Once<OidcProvider>();
  readonly #timeOf: (time: AnswerTime) => number;
  /** The last key, and its public part. Each new token of a client has a key of its own. */
  #key: Promise<CryptoKeyPair | undefined> | undefined;
  #keyPart: unknown;

  constructor(readonly options: TokenSourceOptions) {
    const { stored: { backend, key }, identity } = options;
    this.store = new CredentialStore(backend, key);
    this.isAlone = asksNobody(identity.flow);
    this.#timeOf = followProvider(options, this.store.shared.skews);
  }

  /** The provider, loaded at the first need. */
  async openProvider(): Promise<OidcProvider> {
    const { identity, runtime } = this.options;
    const open = async () => (await loadProvider()).openProvider(identity, runtime);
    return await this.#provider.get(open);
  }

  /** The entry for new tokens, by the time of the answer that brought them. */
  entryOf(tokens: TokenSet, previous?: OidcCredentials): OidcCredentials {
    const { identity, bearer } = this.options;
    return toEntry(tokens, identity, bearer, this.#timeOf(tokens.time), previous);
  }

  /** Reports an entry that was stored. */
  reportStored(entry: OidcCredentials): void {
    const backend = backendName(this.store.backend);
    this.options.runtime.emit?.({ type: "stored", backend, ...endOf(this.bearerIn(entry)) });
  }

  /** The error where a person has to sign in and is not asked. */
  loginRequired(reason: string, cause?: Error, demand?: ApiDemand): ValidMindAuthError {
    return loginRequired(this.options, reason, cause, demand);
  }

  bearerIn(entry: OidcCredentials): Bearer | undefined {
    return bearerOf(entry, this.options.bearer);
  }

  /** The bearer of an entry that is for the requested scope, and has the key of its tokens. */
  async servedBy(stored: OidcCredentials | undefined): Promise<Bearer | undefined> {
    const { scope } = this.options.identity;
    const serves = stored && coversScope(stored, scope) && await this.#hasKey(stored);
    if (serves) return this.bearerIn(stored);
    return undefined;
  }

  /** The entry, where it serves with a fresh bearer other than `rejected`. */
  async freshIn(
    stored: OidcCredentials | undefined,
    rejected: string | undefined,
  ): Promise<OidcCredentials | undefined> {
    const bearer = await this.servedBy(stored);
    const isOther = isFresh(bearer, this.options.runtime.now()) && bearer.token !== rejected;
    if (isOther) return stored;
    return undefined;
  }

  /** The reason why new tokens are not to be had without a person, if there is one. */
  async obstacleIn(stored: OidcCredentials | undefined): Promise<string | undefined> {
    const { identity } = this.options;
    if (this.isAlone) return undefined;
    if (!stored) return "no sign-in is stored";
    if (!coversScope(stored, identity.scope)) return OTHER_SCOPE;
    if (!await this.#hasKey(stored)) return NO_KEY;
    if (!stored.refresh_token) return NO_REFRESH_TOKEN;
    if (spent.has(stored.refresh_token)) return "the stored refresh token was used already";
    const sub = subOf(stored);
    const isNamed = typeof sub === "string" && sub !== "";
    // A refresh could not tell whether the new ID token is of the same person, and would use the token up.
    if (stored.id_token && !isNamed) return "the stored ID token cannot be read";
    return undefined;
  }

  /** Whether an entry has the key of its tokens (DPoP, RFC 9449), or none where they are to be unbound. */
  async #hasKey({ dpop_key }: OidcCredentials) {
    if (!this.options.identity.dpop) return !dpop_key;
    return await this.importKey(dpop_key) !== undefined;
  }

  /**
   * A stored key for use, or `undefined` without a usable one. It is the same object for the same key,
   * since the nonces of its servers are remembered by it.
   */
  async importKey(jwk: unknown): Promise<CryptoKeyPair | undefined> {
    const x = (jwk as JsonWebKey | null | undefined)?.x;
    if (x !== this.#keyPart) this.#key = undefined;
    this.#keyPart = x;
    return await (this.#key ??= importDpopKey(jwk));
  }
}

/** Loaded where the provider is needed: a sign-out does without it. */
export async function loadProvider() {
  await loadCompiled();
  return await import("../provider/refresh_grant.ts");
}

/**
 * Loads a package by its file. Deno 2 keeps compiled code by file, and looks for that of a package
 * behind an `import()` by its name: each process would compile it anew, and keep it once more.
 */
async function loadCompiled() {
  try {
    const url = import.meta.resolve("npm:oauth4webapi");
    if (url.startsWith("file:")) await import(url);
  } catch {
    // It is loaded by its name, more slowly.
  }
}
