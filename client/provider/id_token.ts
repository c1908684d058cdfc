import * as oauth from "oauth4webapi";
import type { Subject } from "../entry.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { Runtime } from "../options/runtime.ts";
import { keysOfTenant } from "./entra.ts";
import { ProviderUnavailableError } from "./error.ts";
import { JWKS, providerFetch } from "./fetch.ts";

/** A larger difference of clocks is not corrected: certificates fail by it, too. */
const MAX_SKEW_SECONDS = 15 * 60;
/** Tries to get the keys. */
const MAX_TRIES = 3;

/**
 * How far the provider's clock is ahead of this computer's, in seconds, by the `Date` header of the
 * answer that brought the tokens.
 *
 * The times in an ID token are the provider's. A wide tolerance would let them pass on a clock that
 * is off, and with them a token that has ended; measured by the provider's own clock they are judged
 * to the second on any clock. The header is as trustworthy as the token, since both come over the
 * same TLS connection.
 *
 * @returns 0 without a usable header, or for a difference above 15 minutes.
 */
export function clockSkew(date: string | null, now: number = Date.now()): number {
  const seconds = Math.round((Date.parse(date ?? "") - now) / 1000);
  return Math.abs(seconds) <= MAX_SKEW_SECONDS ? seconds : 0;
}

/**
 * Refuses the ID token of another person: OpenID Connect Core, section 12.2.
 *
 * @param subject The person of the former ID token.
 * @throws {ValidMindAuthError} `id_token_invalid`.
 */
export function assertSamePerson(subject: Subject, claims: Subject, issuer: string): void {
  // An issuer may change between its forms with and without a trailing slash.
  const [first, second] = [subject, claims].map(({ iss }) => String(iss).replace(/\/$/, ""));
  if (subject.sub === claims.sub && first === second) return;
  throw new ValidMindAuthError(
    "id_token_invalid",
    `Cannot refresh the sign-in at ${issuer}: the new ID token is another person's. Sign out and ` +
      `sign in again, then ask who runs the provider.`,
  );
}

type SignatureOptions = oauth.ValidateSignatureOptions & {
  signal?: AbortSignal;
  [oauth.customFetch]: NonNullable<oauth.ValidateSignatureOptions[typeof oauth.customFetch]>;
};

/** Keys that were requested ahead of their use. Disposal ends the request. */
export interface RequestedKeys extends Disposable {
  readonly response: Promise<Response>;
}

/** Checks the signatures of ID tokens by the provider's keys. */
export class IdTokenSignatures {
  readonly #issuer: string;
  readonly #runtime: Runtime;
  #hasKeys = false;

  constructor(issuer: string, runtime: Runtime) {
    this.#issuer = issuer;
    this.#runtime = runtime;
  }

  /** Requests the keys ahead of their use, unless oauth4webapi has kept them from an earlier one. */
  requestKeys(server: oauth.AuthorizationServer): RequestedKeys | undefined {
    if (this.#hasKeys || server.jwks_uri === undefined) return undefined;
    const end = new AbortController();
    const response = providerFetch(JWKS, this.#runtime)(server.jwks_uri, {
      headers: { accept: "application/json" },
      redirect: "manual",
      signal: end.signal,
    });
    response.catch(() => undefined); // reported, and tried again, where the keys are used
    return { response, [Symbol.dispose]: () => end.abort() };
  }

  /**
   * Checks the signature of the ID token in a processed answer.
   *
   * @param keys The result of {@linkcode requestKeys}, for the first try.
   */
  async check(
    server: oauth.AuthorizationServer,
    response: Response,
    request: SignatureOptions,
    keys?: RequestedKeys,
  ): Promise<void> {
    for (let tries = 1;; tries++) {
      const load = tries === 1 && keys !== undefined
        ? () => keys.response
        : request[oauth.customFetch];
      const options: SignatureOptions = {
        ...request,
        [oauth.customFetch]: async (url, init) =>
          await keysOfTenant(server, this.#issuer, await load(url, init)),
      };
      try {
        await oauth.validateApplicationLevelSignature(server, response, options);
        this.#hasKeys = true;
        return;
      } catch (error) {
        if (!(error instanceof ProviderUnavailableError) || tries === MAX_TRIES) throw error;
        await this.#runtime.delay(tries * 500, request.signal);
      }
    }
  }
}
