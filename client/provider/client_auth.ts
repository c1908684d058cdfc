import * as oauth from "oauth4webapi";
import type { ClientAuthOptions } from "../options/resolve_identity.ts";
import { type Message, words } from "../../backends/credentials_backend_error.ts";
import { isEntraIssuer } from "../entry.ts";
import { assertionDoubt, byAssertionFile, type ClientFile } from "./client_file.ts";
import { byClientKey } from "./client_key.ts";
import { ASSERTION_FILE, CLIENT_ID, KEY_FILE, SECRET } from "./error.ts";

/** How a client proves to a provider who it is: RFC 6749, section 2.3. */
export class ClientAuthentication {
  readonly #options: ClientAuthOptions;
  /** Whether the client proves itself in the second of its two ways. */
  isTurned = false;

  constructor(options: ClientAuthOptions) {
    this.#options = options;
  }

  /** Whether the client has nothing to prove itself by: a public client. */
  get isNone(): boolean {
    return Object.keys(this.#options).length === 0;
  }

  /**
   * The same for oauth4webapi. A secret goes into the form where the provider takes it there, since the
   * form leaves no doubt about the encoding; else into the header.
   */
  at(server: oauth.AuthorizationServer) {
    const { issuer, token_endpoint_auth_methods_supported: methods } = server;
    const { clientSecret } = this.#options;
    const keyFile = this.#file("clientKeyFile");
    const assertionFile = this.#file("clientAssertionFile");
    if (keyFile !== undefined) {
      const { token_endpoint } = server;
      const audience = this.isTurned || isEntraIssuer(issuer) ? token_endpoint : undefined;
      return byClientKey(keyFile, audience);
    }
    if (assertionFile !== undefined) return byAssertionFile(assertionFile);
    if (clientSecret === undefined) return oauth.None();
    // A provider that states no method takes the header: OpenID Connect Discovery, section 3.
    return methods?.includes("client_secret_post") && !this.isTurned
      ? oauth.ClientSecretPost(clientSecret)
      : oauth.ClientSecretBasic(clientSecret);
  }

  /**
   * Has the client prove itself in the other way after the provider has refused one: a secret in the
   * header instead of the form, where the provider states both, and a signed assertion for the token
   * endpoint instead of the issuer. Ory Hydra takes a secret only the way that the client is registered
   * with, and an assertion for the token endpoint only.
   *
   * @param isTurned Whether to take the second way.
   * @returns Whether the client has another way, so that the request is worth another try.
   */
  turn(server: oauth.AuthorizationServer, isTurned: boolean): boolean {
    const { clientSecret, clientKeyFile } = this.#options;
    const methods = server.token_endpoint_auth_methods_supported;
    const isBoth = ["client_secret_post", "client_secret_basic"]
      .every((name) => methods?.includes(name));
    const hasOther = clientSecret !== undefined && isBoth ||
      clientKeyFile !== undefined && isOwnEndpoint(server);
    if (hasOther) this.isTurned = isTurned;
    return hasOther;
  }

  /** The advice where the provider refuses the client; `undefined` for a public one. */
  async advice(now: number): Promise<Message | undefined> {
    const { clientSecret } = this.#options;
    if (clientSecret !== undefined) {
      return words`Check ${CLIENT_ID}, and that ${SECRET} is its secret (a public client has none).`;
    }
    const keyFile = this.#file("clientKeyFile");
    if (keyFile !== undefined) {
      const key = words`the public key of ${keyFile.path} (${keyFile.source})`;
      return words`Check ${CLIENT_ID}, that ${key} is registered with the same kid, and the clock.`;
    }
    const assertionFile = this.#file("clientAssertionFile");
    return assertionFile &&
      words`Check ${CLIENT_ID} and ${ASSERTION_FILE}. ${await assertionDoubt(assertionFile, now)}`;
  }

  #file(option: "clientKeyFile" | "clientAssertionFile"): ClientFile | undefined {
    const path = this.#options[option];
    if (!path) return undefined;
    return { path, source: option === "clientKeyFile" ? KEY_FILE : ASSERTION_FILE };
  }
}

/**
 * Whether the token endpoint, as the issuer's own, may be the audience in place of the issuer. An
 * assertion for another one would serve whoever names that in a discovery document, and gets the
 * assertion at a further endpoint: the reason why the issuer is the audience
 * (draft-ietf-oauth-rfc7523bis).
 */
function isOwnEndpoint({ issuer, token_endpoint = "" }: oauth.AuthorizationServer): boolean {
  const [own, endpoint] = [issuer, token_endpoint].map((text) => URL.parse(text)?.origin);
  return own !== undefined && own === endpoint && !isEntraIssuer(issuer);
}
