import * as oauth from "oauth4webapi";
import { keysOfTenant } from "./entra_tenant.ts";
import { providerFetch, ProviderUnavailableError } from "./provider_fetch.ts";
import type { Runtime } from "./resolve_options.ts";

type SignatureOptions = oauth.ValidateSignatureOptions & {
  signal?: AbortSignal;
  [oauth.customFetch]: NonNullable<oauth.ValidateSignatureOptions[typeof oauth.customFetch]>;
};

/** Keys that were asked for ahead of their use. Their request ends with them, used or not. */
export interface RequestedKeys extends Disposable {
  readonly response: Promise<Response>;
}

/** Checks the signatures of ID tokens, with the provider's keys. */
export class IdTokenSignatures {
  readonly #issuer: string;
  readonly #runtime: Runtime;
  #hasKeys = false;

  /** @param issuer The issuer, as configured. */
  constructor(issuer: string, runtime: Runtime) {
    this.#issuer = issuer;
    this.#runtime = runtime;
  }

  /** Asks for the keys ahead of their use, unless oauth4webapi has them from an earlier one. */
  requestKeys(server: oauth.AuthorizationServer): RequestedKeys | undefined {
    if (this.#hasKeys || server.jwks_uri === undefined) return undefined;
    const end = new AbortController();
    const response = providerFetch("jwks", this.#runtime)(server.jwks_uri, {
      headers: { accept: "application/json" },
      redirect: "manual",
      signal: end.signal,
    });
    response.catch(() => undefined); // told, and tried again, where they are used
    return { response, [Symbol.dispose]: () => end.abort() };
  }

  /**
   * Checks the signature of the ID token in a processed answer.
   *
   * @param keys What {@linkcode requestKeys} gave; used at the first of three tries.
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
        if (!(error instanceof ProviderUnavailableError) || tries === 3) throw error;
        await this.#runtime.delay(tries * 500, request.signal);
      }
    }
  }
}
