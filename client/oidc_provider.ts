import * as oauth from "oauth4webapi";
import { netHost } from "../backends/net_host.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { DeviceCode } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import { preflight } from "./preflight.ts";
import { printable } from "./printable.ts";
import { providerError } from "./provider_error.ts";
import { providerFetch, type ProviderStep, ProviderUnavailableError } from "./provider_fetch.ts";
import type { Identity, Runtime } from "./resolve_options.ts";
import { secureUrl } from "./secure_url.ts";

type OidcIdentity = Extract<Identity, { kind: "oidc" }>;

/** A device code that waits for approval. `deviceCode` and `verifier` are secrets. */
export interface DeviceAuthorization {
  deviceCode: string;
  verifier?: string;
  /** Seconds between polls. */
  interval: number;
  /** What the person is shown. */
  code: DeviceCode;
}

/** Tokens as the provider gave them, checked. */
export interface TokenSet {
  accessToken: string;
  refreshToken?: string;
  idToken?: string;
  /** When the ID token ends, in seconds since the epoch. */
  idTokenExpiry?: number;
  expiresIn?: number;
}

/** New tokens; or, where they failed a check, the refresh token that took the old one's place. */
export type RefreshAnswer =
  | { tokens: TokenSet }
  | { tokens?: undefined; refreshToken: string; error: Error };

/**
 * The one place that talks to the provider: discovery, device flow, refresh, revocation and the
 * checks of ID tokens, all by oauth4webapi. Loaded only when one of them is needed.
 */
export class OidcProvider {
  readonly #identity: OidcIdentity;
  readonly #runtime: Runtime;
  readonly #client: oauth.Client;
  #server: Promise<oauth.AuthorizationServer> | undefined;
  #hasKeys = false;

  constructor(identity: OidcIdentity, runtime: Runtime) {
    this.#identity = identity;
    this.#runtime = runtime;
    this.#client = { client_id: identity.clientId };
  }

  /** Asks for a device code: RFC 8628, section 3.1. */
  async authorizeDevice(signal?: AbortSignal): Promise<DeviceAuthorization> {
    return await this.#attempt("start the sign-in", signal, async () => {
      const server = await this.#discover(signal);
      const verifier = needsPkce(server) ? oauth.generateRandomCodeVerifier() : undefined;
      const parameters = new URLSearchParams({ scope: this.#identity.scope, ...this.#audience() });
      if (verifier !== undefined) {
        parameters.set("code_challenge", await oauth.calculatePKCECodeChallenge(verifier));
        parameters.set("code_challenge_method", "S256");
      }
      const response = await oauth.deviceAuthorizationRequest(
        server,
        this.#client,
        oauth.None(),
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
        interval: answer.interval ?? 5,
        code: this.#deviceCode(answer),
      };
    });
  }

  /** Asks once whether the person has approved: RFC 8628, section 3.4. */
  async pollDevice(device: DeviceAuthorization, signal?: AbortSignal): Promise<TokenSet> {
    return await this.#attempt("sign in", signal, async () => {
      const server = await this.#discover(signal);
      const response = await oauth.deviceCodeGrantRequest(
        server,
        this.#client,
        oauth.None(),
        device.deviceCode,
        {
          ...this.#options("token", signal),
          additionalParameters: {
            ...this.#audience(),
            ...(device.verifier !== undefined && { code_verifier: device.verifier }),
          },
        },
      );
      const answer = await oauth.processDeviceCodeResponse(server, this.#client, response);
      try {
        return await this.#checkSignature(server, response, answer, signal);
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
   */
  async refresh(refreshToken: string, subject?: string): Promise<RefreshAnswer> {
    let rotated: string | undefined;
    const capture = ({ refresh_token }: Record<string, unknown>) => {
      if (typeof refresh_token === "string") rotated = refresh_token;
    };
    try {
      return { tokens: await this.#requestRefresh(refreshToken, subject, capture) };
    } catch (error) {
      // The old refresh token is spent, so the new one counts, whatever is wrong with the rest.
      if (rotated === undefined) throw error;
      return { refreshToken: rotated, error: error as Error };
    }
  }

  async #requestRefresh(
    refreshToken: string,
    subject: string | undefined,
    capture: (answer: Record<string, unknown>) => void,
  ): Promise<TokenSet> {
    return await this.#attempt("refresh the sign-in", undefined, async () => {
      const server = await this.#discover();
      // The last sign-in had an ID token, so this answer will, too: its keys come meanwhile.
      const keys = subject === undefined ? undefined : this.#requestKeys(server);
      const response = await oauth.refreshTokenGrantRequest(
        server,
        this.#client,
        oauth.None(),
        refreshToken,
        { ...this.#options("token", undefined, capture), additionalParameters: this.#audience() },
      );
      const answer = await oauth.processRefreshTokenResponse(server, this.#client, response);
      const sub = oauth.getValidatedIdTokenClaims(answer)?.sub;
      if (subject !== undefined && sub !== undefined && sub !== subject) {
        throw otherPerson(this.#identity.issuer);
      }
      try {
        return await this.#checkSignature(server, response, answer, undefined, keys);
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
      const response = await oauth.revocationRequest(server, this.#client, oauth.None(), token, {
        ...this.#options("revocation"),
        additionalParameters: { token_type_hint: hint },
      });
      await oauth.processRevocationResponse(response);
      return true;
    });
  }

  /** The hosts, with ports, of the endpoints that a sign-in uses. */
  async endpointHosts(): Promise<string[]> {
    return await this.#attempt("find the provider's endpoints", undefined, async () => {
      return hostsOf(await this.#discover());
    });
  }

  async #discover(signal?: AbortSignal): Promise<oauth.AuthorizationServer> {
    this.#server ??= this.#requestDiscovery(signal).catch((error) => {
      this.#server = undefined;
      throw error;
    });
    return await this.#server;
  }

  async #requestDiscovery(signal?: AbortSignal): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(this.#identity.issuer);
    const options = this.#options("discovery", signal);
    const response = await oauth.discoveryRequest(issuer, options);
    if (response.status === 404) {
      throw new ValidMindAuthError(
        "provider_invalid",
        `Cannot find an OpenID Provider at ${this.#identity.issuer}: it has no ` +
          `/.well-known/openid-configuration. Check the issuer.`,
      );
    }
    const { issuer: stated } = await response.clone().json();
    // With or without a trailing slash it is the same issuer; tokens name it as it names itself.
    const isSame = typeof stated === "string" && withoutSlash(stated) === withoutSlash(issuer.href);
    const expected = isSame ? new URL(stated) : issuer;
    const server = await oauth.processDiscoveryResponse(expected, response);
    await this.#checkHosts(server);
    return server;
  }

  /** Before the person is asked for anything: an approval that cannot be fetched helps nobody. */
  async #checkHosts(server: oauth.AuthorizationServer): Promise<void> {
    if (this.#runtime.fetch !== globalThis.fetch) return;
    const needs = hostsOf(server).map((host): PermissionNeed => ({
      name: "net",
      host,
      reason: "to use the provider's endpoints",
      need: "sign_in",
    }));
    await preflight("reach the provider", needs, "sign_in");
  }

  async #checkSignature(
    server: oauth.AuthorizationServer,
    response: Response,
    answer: oauth.TokenEndpointResponse,
    signal?: AbortSignal,
    keys?: Promise<Response>,
  ): Promise<TokenSet> {
    for (let tries = 1; answer.id_token !== undefined; tries++) {
      const options = this.#options("jwks", signal);
      if (keys !== undefined && tries === 1) options[oauth.customFetch] = () => keys;
      try {
        await oauth.validateApplicationLevelSignature(server, response, options);
        this.#hasKeys = true;
        break;
      } catch (error) {
        if (!(error instanceof ProviderUnavailableError) || tries === 3) throw error;
        await this.#runtime.delay(tries * 500, signal);
      }
    }
    return toTokenSet(answer, oauth.getValidatedIdTokenClaims(answer)?.exp);
  }

  /** Asks for the signing keys ahead of their use, unless oauth4webapi has them from an earlier one. */
  #requestKeys(server: oauth.AuthorizationServer): Promise<Response> | undefined {
    if (this.#hasKeys || server.jwks_uri === undefined) return undefined;
    const headers = { accept: "application/json" };
    const keys = providerFetch("jwks", this.#runtime)(server.jwks_uri, {
      headers,
      redirect: "manual",
    });
    keys.catch(() => undefined); // told, and tried again, where they are used
    return keys;
  }

  #deviceCode(answer: oauth.DeviceAuthorizationResponse): DeviceCode {
    const complete = answer.verification_uri_complete;
    return {
      verificationUri: checkVerificationUri(answer.verification_uri),
      userCode: printable(answer.user_code, 100),
      ...(complete !== undefined && { verificationUriComplete: checkVerificationUri(complete) }),
      expiresAt: new Date(this.#runtime.now() + answer.expires_in * 1000),
      issuer: this.#identity.issuer,
    };
  }

  #audience(): Record<string, string> {
    const { audience } = this.#identity;
    return audience === undefined ? {} : { audience };
  }

  #options(
    step: ProviderStep,
    signal?: AbortSignal,
    capture?: (answer: Record<string, unknown>) => void,
  ) {
    return {
      [oauth.customFetch]: providerFetch(step, this.#runtime, capture),
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

function hostsOf(server: oauth.AuthorizationServer): string[] {
  const { device_authorization_endpoint, token_endpoint, jwks_uri } = server;
  const urls = [device_authorization_endpoint, token_endpoint, jwks_uri].flatMap((text) =>
    URL.parse(text ?? "") ?? []
  );
  return [...new Set(urls.map(netHost))];
}

function toTokenSet(
  answer: Partial<oauth.TokenEndpointResponse>,
  idTokenExpiry?: number,
): TokenSet {
  return {
    accessToken: answer.access_token as string,
    ...(answer.refresh_token !== undefined && { refreshToken: answer.refresh_token }),
    ...(answer.id_token !== undefined && { idToken: answer.id_token }),
    ...(idTokenExpiry !== undefined && { idTokenExpiry }),
    ...(answer.expires_in !== undefined && { expiresIn: answer.expires_in }),
  };
}

function otherPerson(issuer: string): ValidMindAuthError {
  return new ValidMindAuthError(
    "id_token_invalid",
    `Cannot refresh the sign-in at ${issuer}: the new ID token is another person's. Sign out and ` +
      `sign in again, then ask who runs the provider.`,
  );
}

/** Harmless to a provider that does not ask for it, and needed by one that does. */
function needsPkce(server: oauth.AuthorizationServer): boolean {
  return server.code_challenge_methods_supported?.includes("S256") === true;
}

/** A page that a person is sent to: of the web, and nothing that a terminal or browser acts on. */
function checkVerificationUri(text: string): string {
  try {
    return secureUrl(text, "sign in: the provider's page").href;
  } catch {
    throw new ValidMindAuthError(
      "provider_invalid",
      "Cannot sign in: the page that the provider names for it is no https: page. " +
        "Check the issuer, then ask who runs the provider.",
    );
  }
}

function withoutSlash(issuer: string): string {
  return issuer.replace(/\/$/, "");
}
