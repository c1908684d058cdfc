import * as oauth from "oauth4webapi";
import { readEnvIfGranted } from "../../backends/common/read_env.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import { isSamePerson, type Subject, type TokenSet } from "../entry.ts";
import type { DeviceAuthorization } from "../sign_in/device_flow.ts";
import { asTenant, discoverProvider, endpointHosts, preflightEndpoints } from "./discovery.ts";
import { ValidMindAuthError } from "../errors.ts";
import { providerError, ProviderUnavailableError } from "./error.ts";
import { providerFetch, type ProviderStep } from "./fetch.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import {
  clientAuth,
  clockSkew,
  IdTokenSignatures,
  newDpopKey,
  type RefreshAnswer,
  type RequestedKeys,
  requestTokens,
  toTokenSet,
} from "./token_request.ts";

/** A discovery document that was asked for ahead of its use. Its request ends with it. */
export interface RequestedDiscovery extends Disposable {
  readonly url: string;
  readonly response: Promise<Response>;
}

/**
 * The one place that talks to the provider: discovery, device flow, refresh, revocation and the
 * checks of ID tokens, all by oauth4webapi. Loaded only when one of them is needed; a refresh sends
 * the request for discovery meanwhile.
 */
export class OidcProvider {
  readonly #identity: OidcIdentity;
  readonly #runtime: Runtime;
  readonly #client: oauth.Client;
  readonly #signatures: IdTokenSignatures;
  #server: Promise<oauth.AuthorizationServer> | undefined;

  constructor(identity: OidcIdentity, runtime: Runtime) {
    this.#identity = identity;
    this.#runtime = runtime;
    this.#client = { client_id: identity.clientId };
    this.#signatures = new IdTokenSignatures(identity.issuer, runtime);
  }

  /** Asks for a device code: RFC 8628, section 3.1. */
  async authorizeDevice(signal?: AbortSignal): Promise<DeviceAuthorization> {
    const { needsPkce, toDeviceCode } = await import("../sign_in/device_flow.ts");
    return await this.#attempt("start the sign-in", signal, async () => {
      const server = await this.#discover(signal);
      const dpopKey = this.#identity.dpop ? await newDpopKey(server) : undefined;
      const verifier = needsPkce(server) ? oauth.generateRandomCodeVerifier() : undefined;
      const parameters = new URLSearchParams({ scope: this.#identity.scope, ...this.#audience() });
      if (verifier !== undefined) {
        parameters.set("code_challenge", await oauth.calculatePKCECodeChallenge(verifier));
        parameters.set("code_challenge_method", "S256");
      }
      const response = await oauth.deviceAuthorizationRequest(
        server,
        this.#client,
        this.#auth(server),
        parameters,
        this.#options("device", signal),
      );
      const answer = await oauth.processDeviceAuthorizationResponse(
        server,
        this.#client,
        response,
      );
      return {
        deviceCode: answer.device_code,
        ...(verifier !== undefined && { verifier }),
        ...(dpopKey !== undefined && { dpopKey }),
        interval: answer.interval ?? 5,
        code: toDeviceCode(answer, this.#identity.issuer, this.#runtime.now()),
      };
    });
  }

  /** Asks once whether the person has approved: RFC 8628, section 3.4. */
  async pollDevice(device: DeviceAuthorization, signal?: AbortSignal): Promise<TokenSet> {
    return await this.#attempt("sign in", signal, async () => {
      const server = await this.#discover(signal);
      const { response, answer, tenant } = await requestTokens(
        server,
        device.dpopKey?.pair,
        async (proof) => {
          const response = await oauth.deviceCodeGrantRequest(
            server,
            this.#client,
            this.#auth(server),
            device.deviceCode,
            {
              ...this.#options("token", signal),
              ...proof,
              additionalParameters: {
                ...this.#audience(),
                ...(device.verifier !== undefined && { code_verifier: device.verifier }),
              },
            },
          );
          const tenant = await asTenant(server, this.#identity.issuer, response);
          const client = this.#clientAt(response);
          const answer = await oauth.processDeviceCodeResponse(tenant, client, response);
          return { response, answer, tenant };
        },
      );
      try {
        const tokens = await this.#checkSignature(tenant, response, answer, signal);
        return { ...tokens, ...(device.dpopKey && { dpopKey: device.dpopKey.jwk }) };
      } catch (error) {
        if (!(error instanceof ProviderUnavailableError)) throw error;
        // Not as an error that polling survives: the code is spent, and its reuse ends the grant.
        throw new ValidMindAuthError("provider_unavailable", error.message, { cause: error });
      }
    });
  }

  /**
   * Trades a refresh token for new tokens: RFC 6749, section 6.
   *
   * @param subject Whose tokens they are, where that is known: others' are refused, as OpenID
   * Connect Core, section 12.2, demands.
   * @param dpopKey What the tokens are bound to, if they are.
   */
  async refresh(
    refreshToken: string,
    subject?: Subject,
    dpopKey?: CryptoKeyPair,
  ): Promise<RefreshAnswer> {
    let rotated: string | undefined;
    const capture = ({ refresh_token }: Record<string, unknown>) => {
      if (typeof refresh_token === "string") rotated = refresh_token;
    };
    try {
      return { tokens: await this.#requestRefresh(refreshToken, subject, dpopKey, capture) };
    } catch (error) {
      // The old refresh token is spent, so the new one counts, whatever is wrong with the rest.
      if (rotated === undefined) throw error;
      return { refreshToken: rotated, error: error as Error };
    }
  }

  async #requestRefresh(
    refreshToken: string,
    subject: Subject | undefined,
    dpopKey: CryptoKeyPair | undefined,
    capture: (answer: Record<string, unknown>) => void,
  ): Promise<TokenSet> {
    return await this.#attempt("refresh the sign-in", undefined, async () => {
      const server = await this.#discover();
      // The last sign-in had an ID token, so this answer will, too: its keys come meanwhile.
      using keys = subject === undefined ? undefined : this.#signatures.requestKeys(server);
      const { response, answer, tenant } = await requestTokens(server, dpopKey, async (proof) => {
        const response = await oauth.refreshTokenGrantRequest(
          server,
          this.#client,
          this.#auth(server),
          refreshToken,
          {
            ...this.#options("token", undefined, capture),
            ...proof,
            additionalParameters: this.#audience(),
          },
        );
        const tenant = await asTenant(server, this.#identity.issuer, response);
        const client = this.#clientAt(response);
        const answer = await oauth.processRefreshTokenResponse(tenant, client, response);
        return { response, answer, tenant };
      });
      const claims = oauth.getValidatedIdTokenClaims(answer);
      if (subject !== undefined && claims !== undefined && !isSamePerson(subject, claims)) {
        throw otherPerson(this.#identity.issuer);
      }
      try {
        return await this.#checkSignature(tenant, response, answer, undefined, keys);
      } catch (error) {
        if (!(error instanceof ProviderUnavailableError)) throw error;
        return toTokenSet({ ...answer, id_token: undefined }); // its key is out of reach: leave it
      }
    });
  }

  /** Revokes a token, and says `false` where the provider has no such endpoint: RFC 7009. */
  async revoke(token: string, hint: "refresh_token" | "access_token"): Promise<boolean> {
    return await this.#attempt("revoke the sign-in", undefined, async () => {
      const server = await this.#discover();
      if (server.revocation_endpoint === undefined) return false;
      const response = await oauth.revocationRequest(
        server,
        this.#client,
        this.#auth(server),
        token,
        {
          ...this.#options("revocation"),
          additionalParameters: { token_type_hint: hint },
        },
      );
      await oauth.processRevocationResponse(response);
      return true;
    });
  }

  /**
   * Finds the endpoints, so that the refresh which follows is one request and no more.
   *
   * @param requested The discovery document, where it was asked for already.
   */
  async prepareRefresh(requested?: RequestedDiscovery): Promise<void> {
    await this.#attempt("refresh the sign-in", undefined, () => {
      return this.#discover(undefined, requested);
    });
  }

  /** The hosts, with ports, of the endpoints that a sign-in uses. */
  async endpointHosts(): Promise<string[]> {
    return await this.#attempt("find the provider's endpoints", undefined, async () => {
      return endpointHosts(await this.#discover());
    });
  }

  async #discover(
    signal?: AbortSignal,
    requested?: RequestedDiscovery,
  ): Promise<oauth.AuthorizationServer> {
    this.#server ??= this.#requestDiscovery(signal, requested).catch((error) => {
      this.#server = undefined;
      throw error;
    });
    return await this.#server;
  }

  async #requestDiscovery(
    signal?: AbortSignal,
    requested?: RequestedDiscovery,
  ): Promise<oauth.AuthorizationServer> {
    const { fetch } = this.#runtime;
    const fetchOnce: typeof fetch = (url, init) =>
      url === requested?.url ? requested.response : fetch(url, init);
    const runtime = { ...this.#runtime, fetch: fetchOnce };
    const server = await discoverProvider(
      this.#identity.issuer,
      (capture) => this.#options("discovery", signal, capture, runtime),
    );
    if (this.#runtime.fetch === globalThis.fetch) await preflightEndpoints(server);
    return server;
  }

  async #checkSignature(
    server: oauth.AuthorizationServer,
    response: Response,
    answer: oauth.TokenEndpointResponse,
    signal?: AbortSignal,
    keys?: RequestedKeys,
  ): Promise<TokenSet> {
    if (answer.id_token !== undefined) {
      await this.#signatures.check(server, response, this.#options("jwks", signal), keys);
    }
    return toTokenSet(answer, oauth.getValidatedIdTokenClaims(answer)?.exp);
  }

  #auth(server: oauth.AuthorizationServer): oauth.ClientAuth {
    return clientAuth(server, this.#identity.clientSecret);
  }

  /** This client, with the provider's clock instead of its own. */
  #clientAt(response: Response): oauth.Client {
    return { ...this.#client, [oauth.clockSkew]: clockSkew(response.headers.get("date")) };
  }

  #audience(): Record<string, string> {
    const { audience } = this.#identity;
    return audience === undefined ? {} : { audience };
  }

  #options(
    step: ProviderStep,
    signal?: AbortSignal,
    capture?: (answer: Record<string, unknown>) => void,
    runtime = this.#runtime,
  ) {
    const { clientSecret } = this.#identity;
    const secrets = clientSecret === undefined ? [] : [clientSecret];
    return {
      [oauth.customFetch]: providerFetch(step, runtime, capture, secrets),
      // providerFetch itself refuses http: anywhere but on loopback.
      [oauth.allowInsecureRequests]: this.#identity.issuer.startsWith("http:"),
      ...(signal !== undefined && { signal }),
    };
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

function otherPerson(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_invalid",
    `Cannot refresh the sign-in at ${issuer}: the new ID token is another person's. Sign out and ` +
      `sign in again, then ask who runs the provider.`,
  );
}

/**
 * The provider of an identity. The client's secret is looked up here and no sooner: a start from a
 * stored token needs none.
 */
export function openProvider(identity: OidcIdentity, runtime: Runtime): OidcProvider {
  const { clientSecret = secretFromEnv(identity) } = identity;
  return new OidcProvider(
    { ...identity, ...(clientSecret !== undefined && { clientSecret }) },
    runtime,
  );
}

/** The variable's secret, for the client alone that the variables for issuer and client id name. */
function secretFromEnv({ issuer, clientId }: OidcIdentity): string | undefined {
  const named = readEnvIfGranted("VM_OIDC_ISSUER");
  const client = readEnvIfGranted("VM_OIDC_CLIENT_ID");
  if (named === undefined || client === undefined) return undefined;
  const isNamed = normalizeIssuer(named) === issuer && normalizeClientId(client) === clientId;
  return isNamed ? readEnvIfGranted("VM_OIDC_CLIENT_SECRET") : undefined;
}
