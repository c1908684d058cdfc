import * as oauth from "oauth4webapi";
import { Once } from "../../backends/common/once.ts";
import { readEnvIfGranted } from "../../backends/common/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import { discoverProvider, endpointHosts, preflightEndpoints } from "./discovery.ts";
import { providerError } from "./error.ts";
import { DISCOVERY, REVOCATION } from "./fetch.ts";
import { IdTokenSignatures } from "./id_token.ts";
import { type RequestContext, requestOptions } from "./token_request.ts";

/** A discovery document that was requested ahead of its use. Disposal ends the request. */
export interface RequestedDiscovery extends Disposable {
  readonly url: string;
  readonly response: Promise<Response>;
}

/**
 * One OpenID Provider for one client: finds its endpoints, and gives the grants of this folder what
 * their requests need. It knows no grant itself. Loaded only where the provider is needed.
 */
export class OidcProvider {
  readonly #identity: OidcIdentity;
  readonly #runtime: Runtime;
  readonly #signatures: IdTokenSignatures;
  readonly #server = new Once<oauth.AuthorizationServer>();

  constructor(identity: OidcIdentity, runtime: Runtime) {
    this.#identity = identity;
    this.#runtime = runtime;
    this.#signatures = new IdTokenSignatures(identity.issuer, runtime);
  }

  /** The issuer, as the caller named it. */
  get issuer(): string {
    return this.#identity.issuer;
  }

  /**
   * Runs the requests of one grant, and gives their errors a code and words.
   *
   * @param action The failed action, as in "Cannot {action} at {issuer}".
   * @param signal Ends the requests. Its reason is thrown then.
   */
  async use<T>(
    action: string,
    signal: AbortSignal | undefined,
    run: (context: RequestContext) => Promise<T>,
  ): Promise<T> {
    return await this.#attempt(action, signal, async () => {
      const server = await this.#discover(signal);
      const { clientId, clientSecret } = this.#identity;
      return await run({
        identity: this.#identity,
        runtime: this.#runtime,
        signal,
        server,
        client: { client_id: clientId },
        auth: clientAuth(server, clientSecret),
        signatures: this.#signatures,
      });
    });
  }

  /**
   * Finds the endpoints ahead of a grant, so that the grant itself is one request.
   *
   * @param action The failed action, as in "Cannot {action} at {issuer}".
   * @param requested The discovery document, where it was requested already.
   */
  async prepare(action: string, requested?: RequestedDiscovery): Promise<void> {
    await this.#attempt(action, undefined, () => this.#discover(undefined, requested));
  }

  /**
   * Revokes a token: RFC 7009.
   *
   * @returns `false` where the provider has no revocation endpoint.
   */
  async revoke(token: string, hint: "refresh_token" | "access_token"): Promise<boolean> {
    return await this.use("revoke the sign-in", undefined, async (context) => {
      const { server, client, auth } = context;
      if (server.revocation_endpoint === undefined) return false;
      const response = await oauth.revocationRequest(server, client, auth, token, {
        ...requestOptions(REVOCATION, context),
        additionalParameters: { token_type_hint: hint },
      });
      await oauth.processRevocationResponse(response);
      return true;
    });
  }

  /** The hosts, with ports, of all endpoints. */
  async endpointHosts(): Promise<string[]> {
    return await this.#attempt("find the provider's endpoints", undefined, async () => {
      return endpointHosts(await this.#discover());
    });
  }

  #discover(signal?: AbortSignal, requested?: RequestedDiscovery) {
    return this.#server.get(() => this.#requestDiscovery(signal, requested));
  }

  async #requestDiscovery(
    signal?: AbortSignal,
    requested?: RequestedDiscovery,
  ): Promise<oauth.AuthorizationServer> {
    const { fetch } = this.#runtime;
    const fetchOnce: typeof fetch = (url, init) =>
      url === requested?.url ? requested.response : fetch(url, init);
    const runtime = { ...this.#runtime, fetch: fetchOnce };
    const sender = { identity: this.#identity, runtime, signal };
    const server = await discoverProvider(
      this.#identity.issuer,
      (capture) => requestOptions(DISCOVERY, sender, capture),
    );
    if (fetch === globalThis.fetch) await preflightEndpoints(server);
    return server;
  }

  async #attempt<T>(action: string, signal: AbortSignal | undefined, run: () => Promise<T>) {
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw providerError(action, this.#identity.issuer, error);
    }
  }
}

/**
 * The provider of an identity. The variable of the client's secret is read here and not earlier: a
 * start from a stored token needs no secret.
 */
export function openProvider(identity: OidcIdentity, runtime: Runtime): OidcProvider {
  const { clientSecret = secretFromEnv(identity) } = identity;
  return new OidcProvider(
    { ...identity, ...(clientSecret !== undefined && { clientSecret }) },
    runtime,
  );
}

/**
 * How the client authenticates itself: RFC 6749, section 2.3. A secret goes into the form where the
 * provider takes it there, since the form leaves no doubt about the encoding; else into the header.
 */
function clientAuth(
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  clientSecret?: string,
): oauth.ClientAuth {
  if (clientSecret === undefined) return oauth.None();
  // A provider that states no method takes the header: OpenID Connect Discovery, section 3.
  return methods?.includes("client_secret_post")
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret);
}

/** The variable's secret, for the client alone that the variables for issuer and client id name. */
function secretFromEnv({ issuer, clientId }: OidcIdentity): string | undefined {
  const named = readEnvIfGranted("VM_OIDC_ISSUER");
  const client = readEnvIfGranted("VM_OIDC_CLIENT_ID");
  if (named === undefined || client === undefined) return undefined;
  const isNamed = normalizeIssuer(named) === issuer && normalizeClientId(client) === clientId;
  return isNamed ? readEnvIfGranted("VM_OIDC_CLIENT_SECRET") : undefined;
}
