import * as oauth from "oauth4webapi";
import { providerFetch, ProviderUnavailableError } from "./provider_fetch.ts";
import type { Runtime } from "./resolve_options.ts";

/** Checks the signatures of ID tokens, with the provider's keys. */
export class IdTokenSignatures {
  readonly #runtime: Runtime;
  #hasKeys = false;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Asks for the keys ahead of their use, unless oauth4webapi has them from an earlier one. */
  requestKeys(server: oauth.AuthorizationServer): Promise<Response> | undefined {
    if (this.#hasKeys || server.jwks_uri === undefined) return undefined;
    const headers = { accept: "application/json" };
    const keys = providerFetch("jwks", this.#runtime)(server.jwks_uri, {
      headers,
      redirect: "manual",
    });
    keys.catch(() => undefined); // told, and tried again, where they are used
    return keys;
  }

  /**
   * Checks the signature of the ID token in a processed answer.
   *
   * @param keys What {@linkcode requestKeys} gave; used at the first of three tries.
   */
  async check(
    server: oauth.AuthorizationServer,
    response: Response,
    request: oauth.ValidateSignatureOptions & { signal?: AbortSignal },
    keys?: Promise<Response>,
  ): Promise<void> {
    for (let tries = 1;; tries++) {
      const ahead = tries === 1 && keys !== undefined;
      const options = { ...request, ...(ahead && { [oauth.customFetch]: () => keys }) };
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
