import * as oauth from "oauth4webapi";
import { Once } from "../../backends/common/promises.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { Runtime } from "../options/resolve_options.ts";
import type { ClientAuth } from "./client_auth.ts";
import { discoverProvider, endpointHosts, preflightEndpoints } from "./discovery.ts";
import { providerError, refusalKind } from "./error.ts";
import { DISCOVERY } from "./endpoint.ts";
import type { RefusalAdvice } from "./remedy.ts";
import { type RequestContext, requestOptions, revokeToken } from "./token_request.ts";

/** The scopes of a provider that states none: OpenID Connect Core, section 5.4. */
const STANDARD_SCOPES = ["openid", "profile", "email"];

/**
 * One OpenID Provider for one client: finds its endpoints, and gives the grants of this folder the
 * means of their requests. It knows no grant itself. Loaded only where the provider is needed.
 */
export class OidcProvider {
  /** The client at the provider, with fewer scopes where those of the default were refused. */
  identity: OidcIdentity;
  readonly #runtime: Runtime;
  readonly #proof: ClientAuth | undefined;
  /** Whether the client proves itself in the second of its two ways. */
  #isTurned = false;
  readonly #server = new Once<oauth.AuthorizationServer>();

  constructor(identity: OidcIdentity, runtime: Runtime, proof?: ClientAuth) {
    this.identity = identity;
    this.#runtime = runtime;
    this.#proof = proof;
  }

  /**
   * Runs the requests of one grant, and gives their errors a code and words.
   *
   * @param action The failed action, as in "Cannot {action} at {issuer}".
   * @param signal Ends the requests. Its reason is thrown then.
   * @param advice The grant's own advice for a refusal.
   */
  async use<T>(
    action: string,
    signal: AbortSignal | undefined,
    run: (context: RequestContext) => Promise<T>,
    advice?: RefusalAdvice,
  ) {
    return await this.#attempt(action, signal, async () => {
      const server = await this.#discover(signal);
      const sender = this.#sender(signal);
      const client = { client_id: sender.identity.clientId };
      return await this.#proveIn(server, (isTurned) => {
        const auth = this.#proof?.prove(server, isTurned, sender) ?? oauth.None();
        return run({ ...sender, server, client, means: [server, client, auth] });
      });
    }, advice);
  }

  /** Sends requests in the way of proof that served last; after its refusal, in the other way. */
  async #proveIn<T>(server: oauth.AuthorizationServer, send: (isTurned: boolean) => Promise<T>) {
    const isTurned = this.#isTurned; // before another request has turned it
    try {
      return await send(isTurned);
    } catch (error) {
      if (refusalKind(error) !== "client" || !this.#proof?.hasOtherWay(server)) throw error;
      // A provider looks at the client before it looks at a code or a token, which is unused then.
      const other = send(!isTurned);
      const kind = await other.then(() => undefined, refusalKind);
      if (kind === "client" || kind === "flow") throw error; // neither way is to blame
      this.#isTurned = !isTurned;
      return await other;
    }
  }

  /**
   * Asks for fewer scopes from now on, where the provider has refused the default ones, which nobody
   * has named: for those that it states.
   *
   * @param isDevice Whether `openid` may go as well: Spring refuses it in the device flow.
   * @returns The scopes; `undefined` where none can go.
   */
  async narrowScope(error: unknown, isDevice: boolean): Promise<string | undefined> {
    const { scope, isDefaultScope } = this.identity;
    if (!isDefaultScope || refusalKind(error) !== "scope") return undefined;
    const { scopes_supported: stated = STANDARD_SCOPES } = await this.#discover();
    const asked = scope.split(" ").filter((name) => name !== "");
    const known = asked.filter((name) => stated.includes(name));
    const isSame = known.length === asked.length;
    const left = isDevice && isSame ? known.filter((name) => name !== "openid") : known;
    if (left.length === asked.length || left.length === 0 && !isDevice) return undefined;
    this.identity = { ...this.identity, scope: left.join(" ") };
    return this.identity.scope;
  }

  /**
   * Finds the endpoints ahead of a grant, so that the grant itself is one request.
   *
   * @param action The failed action, as in "Cannot {action} at {issuer}".
   */
  async prepare(action: string) {
    await this.#attempt(action, undefined, () => this.#discover());
  }

  /**
   * Revokes a token: RFC 7009.
   *
   * @returns `false` where the provider has no revocation endpoint.
   */
  async revoke(token: string, hint: "refresh_token" | "access_token") {
    return await this.use(
      "revoke the sign-in",
      undefined,
      (context) => revokeToken(context, token, hint),
    );
  }

  /** The hosts, with ports, of all endpoints. Unlike a grant, this needs no permission for them. */
  async endpointHosts() {
    const hosts = async () => endpointHosts(await this.#find());
    return await this.#attempt("find the provider's endpoints", undefined, hosts);
  }

  #discover(signal?: AbortSignal) {
    return this.#server.get(async () => {
      const server = await this.#find(signal);
      if (this.#runtime.fetch === globalThis.fetch) await preflightEndpoints(server);
      return server;
    });
  }

  async #find(signal?: AbortSignal) {
    return await discoverProvider(
      this.identity.issuer,
      requestOptions(DISCOVERY, this.#sender(signal)),
    );
  }

  #sender(signal?: AbortSignal) {
    return { identity: this.identity, runtime: this.#runtime, signal };
  }

  async #attempt<T>(
    action: string,
    signal: AbortSignal | undefined,
    run: () => Promise<T>,
    advice: RefusalAdvice = {},
  ) {
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const { secrets } = this.#runtime;
      const ofClient = error instanceof oauth.ResponseBodyError ? this.#proof?.advice : undefined;
      const { issuer, scope } = this.identity;
      throw providerError(action, issuer, error, { ...advice, scope, ofClient }, secrets);
    }
  }
}

/**
 * The provider of an identity. The variables of the client's secret and files are read here and not
 * earlier: a start from a stored token needs none.
 *
 * @throws {ValidMindAuthError} `invalid_options` where several variables are set.
 */
export async function openProvider(
  identity: OidcIdentity,
  runtime: Runtime,
): Promise<OidcProvider> {
  if (!identity.proof) return new OidcProvider(identity, runtime);
  const { clientAuth } = await import("./client_auth.ts");
  return new OidcProvider(identity, runtime, clientAuth(identity.proof));
}
