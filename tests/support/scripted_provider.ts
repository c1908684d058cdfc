import { type HttpServer, json, startHttpServer } from "./http_server.ts";
import { makeKey, type SigningKey, signJwt, type SignOptions } from "./jwt.ts";
import { ACCOUNT, CLIENT_ID } from "./oidc_config.ts";
import { type RecordedRequest, RequestLog } from "./request_log.ts";
import { rememberSecret } from "./assert_no_secret.ts";
import { ScriptedGrants } from "./scripted_grants.ts";

export { hang, json, resetConnection, truncated } from "./http_server.ts";

/** Answers one request; without an answer the default behaviour follows. */
export type ScriptHandler = (
  request: Request,
  form: URLSearchParams,
) => Response | void | Promise<Response | void>;

/** The endpoints that can be scripted. */
export type ScriptedEndpoint = "discovery" | "jwks" | "device" | "token" | "revocation";

/** Options of {@linkcode startScriptedProvider}. */
export interface ScriptedProviderOptions {
  /** Path of the issuer, such as `/realms/acme`. */
  path?: string;
  /** An issuer elsewhere, such as `https://login.example.com`, that only `fetch` below reaches. */
  issuer?: string;
  /** @default {3600} */
  accessTokenTtl?: number;
  /** @default {600} */
  deviceCodeTtl?: number;
  /** Sent as it is; left out when undefined. @default {1} */
  interval?: unknown;
  /** Refuses device requests without an S256 challenge, and discovery says so. @default {false} */
  requirePkce?: boolean;
  /** Merged into the discovery document; `undefined` takes a member out. */
  discovery?: Record<string, unknown>;
}

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const PATHS: Record<string, ScriptedEndpoint> = {
  "/.well-known/openid-configuration": "discovery",
  "/jwks": "jwks",
  "/device": "device",
  "/token": "token",
  "/revoke": "revocation",
};

let sharedKey: Promise<SigningKey> | undefined;

/** Starts a provider for faults that a real one does not produce. */
export async function startScriptedProvider(options: ScriptedProviderOptions = {}) {
  sharedKey ??= makeKey("ES256"); // RSA would take a seventh of the tests' time
  const provider = new ScriptedProvider(options, await sharedKey);
  await provider.listen();
  return provider;
}

/** An OAuth error answer. */
export function oauthError(error: string, status = 400, headers: Record<string, string> = {}) {
  return json({ error, error_description: `scripted: ${error}` }, status, headers);
}

/** An OpenID Provider stand-in that behaves well unless a script says otherwise. */
export class ScriptedProvider implements AsyncDisposable {
  readonly clientId = CLIENT_ID;
  /** The key in the JWKS. */
  readonly signingKey: SigningKey;
  /** Handlers waiting for requests, first in first out; each is used once. */
  readonly script: Record<ScriptedEndpoint, ScriptHandler[]> = {
    discovery: [],
    jwks: [],
    device: [],
    token: [],
    revocation: [],
  };
  /** Merged into the discovery document; `undefined` takes a member out. */
  discovery: Record<string, unknown>;
  /** Device codes are born approved. @default {false} */
  autoApprove = false;
  issuer = "";
  /** `fetch`, with the provider standing where its issuer says. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  readonly #options: ScriptedProviderOptions;
  readonly #log = new RequestLog();
  readonly #grants = new ScriptedGrants();
  #server: HttpServer | undefined;

  constructor(options: ScriptedProviderOptions, signingKey: SigningKey) {
    this.#options = options;
    this.signingKey = signingKey;
    this.discovery = options.discovery ?? {};
    this.fetch = (input, init) => {
      const stated = new URL(this.issuer).origin;
      return fetch(String(input).replace(stated, this.#server!.origin), init);
    };
  }

  /** The port that it listens at. */
  get port(): number {
    return Number(new URL(this.#server!.origin).port);
  }

  /** Always the same array. */
  get requests(): RecordedRequest[] {
    return this.#log.entries;
  }

  async listen(): Promise<void> {
    this.#server = await startHttpServer((request) => this.#handle(request));
    this.issuer = this.#options.issuer ?? this.#server.origin + (this.#options.path ?? "");
  }

  /** Lets the next poll of every pending device code succeed. */
  approve(): void {
    this.#grants.settle("approved");
  }

  /** Lets the next poll of every pending device code answer `access_denied`. */
  deny(): void {
    this.#grants.settle("denied");
  }

  /** Lets the next poll of every pending device code answer `expired_token`. */
  expireDeviceCodes(): void {
    this.#grants.settle("expired");
  }

  /** A device answer with a fresh pending code; `overrides` are merged in. */
  device(overrides: Record<string, unknown> = {}, form = new URLSearchParams()): Response {
    const state = this.autoApprove ? "approved" : "pending";
    const challenge = form.get("code_challenge") ?? undefined;
    const code = this.#grants.addDevice(form.get("scope") ?? "openid", challenge, state);
    return json({
      device_code: code,
      user_code: "WDJB-MJHT",
      verification_uri: `${this.#base}/activate`,
      verification_uri_complete: `${this.#base}/activate?user_code=WDJB-MJHT`,
      expires_in: this.#options.deviceCodeTtl ?? 600,
      interval: "interval" in this.#options ? this.#options.interval : 1,
      ...overrides,
    });
  }

  /** A token answer with fresh, active tokens; `overrides` are merged in, `undefined` takes out. */
  async tokens(overrides: Record<string, unknown> = {}): Promise<Response> {
    const scope = typeof overrides.scope === "string" ? overrides.scope : "openid";
    return await this.#answer(this.#grants.issue(scope), scope, overrides);
  }

  /** The answer to a token exchange; `overrides` are merged in, `undefined` takes out. */
  async exchanged(overrides: Record<string, unknown> = {}): Promise<Response> {
    const issued_token_type = "urn:ietf:params:oauth:token-type:access_token";
    const rest = { refresh_token: undefined, id_token: undefined };
    return await this.tokens({ issued_token_type, ...rest, ...overrides });
  }

  /** An ID token; `claims` are merged in, `undefined` takes out. */
  async idToken(
    claims: Record<string, unknown> = {},
    { key = this.signingKey, ...options }: SignOptions & { key?: SigningKey } = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const standard = {
      iss: this.issuer,
      sub: ACCOUNT.sub,
      aud: this.clientId,
      iat: now,
      exp: now + 3600,
      name: ACCOUNT.name,
      email: ACCOUNT.sub,
    };
    const token = await signJwt({ ...standard, ...claims }, key, options);
    rememberSecret(token);
    return token;
  }

  isActive(token: string): boolean {
    return this.#grants.isActive(token);
  }

  /** Empties `requests`. */
  reset(): void {
    this.#log.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  get #base(): string {
    return this.issuer.replace(/\/$/, "");
  }

  async #handle(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const entry = this.#log.start(request.method, url, request.headers);
    const form = new URLSearchParams(await request.text());
    this.#log.setForm(entry, form);
    const mount = new URL(this.#base).pathname.replace(/\/$/, "");
    const endpoint = url.pathname.startsWith(mount) && PATHS[url.pathname.slice(mount.length)];
    if (!endpoint) return this.#finish(entry, new Response("Not found", { status: 404 }));
    const scripted = await this.script[endpoint].shift()?.(request, form);
    return this.#finish(entry, scripted ?? await this.#default(endpoint, form));
  }

  #finish(entry: RecordedRequest, response: Response): Response {
    entry.status = response.status;
    return response;
  }

  #default(endpoint: ScriptedEndpoint, form: URLSearchParams): Response | Promise<Response> {
    switch (endpoint) {
      case "discovery":
        return json(this.document());
      case "jwks":
        return json({ keys: [this.signingKey.publicJwk] });
      case "device":
        return this.#device(form);
      case "token":
        // With the tokens of a person, like providers that do not know RFC 6749, section 4.4.
        if (form.get("grant_type") === "client_credentials") return this.tokens();
        if (form.get("grant_type")?.endsWith(":token-exchange")) return this.exchanged();
        return form.get("grant_type") === DEVICE_GRANT ? this.#poll(form) : this.#refresh(form);
      case "revocation":
        this.#grants.revoke(form.get("token") ?? "");
        return new Response(null, { status: 200 });
    }
  }

  /** The discovery document. */
  document(): Record<string, unknown> {
    const pkce = { code_challenge_methods_supported: ["S256"] };
    return {
      issuer: this.issuer,
      jwks_uri: `${this.#base}/jwks`,
      device_authorization_endpoint: `${this.#base}/device`,
      token_endpoint: `${this.#base}/token`,
      revocation_endpoint: `${this.#base}/revoke`,
      id_token_signing_alg_values_supported: ["ES256"],
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      ...(this.#options.requirePkce ? pkce : {}),
      ...this.discovery,
    };
  }

  #device(form: URLSearchParams): Response {
    const hasChallenge = form.has("code_challenge") && form.get("code_challenge_method") === "S256";
    if (this.#options.requirePkce && !hasChallenge) return oauthError("invalid_request");
    return this.device({}, form);
  }

  async #poll(form: URLSearchParams): Promise<Response> {
    const device = this.#grants.device(form.get("device_code") ?? "");
    if (device === undefined || device.state === "used") return oauthError("invalid_grant");
    if (device.state === "pending") return oauthError("authorization_pending");
    if (device.state === "denied") return oauthError("access_denied");
    if (device.state === "expired") return oauthError("expired_token");
    if (!await verifies(form.get("code_verifier"), device.challenge)) {
      return oauthError("invalid_grant");
    }
    device.state = "used";
    return await this.#answer(this.#grants.issue(device.scope), device.scope);
  }

  async #refresh(form: URLSearchParams): Promise<Response> {
    if (form.get("grant_type") !== "refresh_token") return oauthError("unsupported_grant_type");
    const rotated = this.#grants.rotate(form.get("refresh_token") ?? "");
    if (rotated === undefined) return oauthError("invalid_grant");
    return await this.#answer(rotated, rotated.scope);
  }

  async #answer(
    tokens: { access: string; refresh: string },
    scope: string,
    overrides: Record<string, unknown> = {},
  ): Promise<Response> {
    return json({
      access_token: tokens.access,
      token_type: "Bearer",
      expires_in: this.#options.accessTokenTtl ?? 3600,
      refresh_token: tokens.refresh,
      scope,
      id_token: await this.idToken(),
      ...overrides,
    });
  }
}

async function verifies(verifier: string | null, challenge: string | undefined): Promise<boolean> {
  if (challenge === undefined) return true;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier ?? ""));
  const text = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
  return text === challenge;
}
