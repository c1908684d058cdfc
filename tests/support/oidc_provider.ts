// @ts-types="@types/oidc-provider"
import type { Configuration, KoaContextWithOIDC, Provider } from "oidc-provider";
import { rememberSecret } from "./assert_no_secret.ts";
import { type ApproveOptions, Approver, type FollowOptions } from "./approver.ts";
import type { Page } from "./browser.ts";
import { makeKey, type SigningKey, verifyJwt } from "./jwt.ts";
import { loadOidcProvider } from "./load_oidc_provider.ts";
import { ACCOUNT, CLIENT_ID, oidcConfig } from "./oidc_config.ts";
import { type NodeServer, startNodeServer } from "./node_server.ts";
import { OidcStore } from "./oidc_store.ts";
import { type RecordedRequest, RequestLog } from "./request_log.ts";

/** Options of {@linkcode startOidcProvider}; lifetimes are whole seconds. */
export interface OidcProviderOptions {
  /** @default {3600} */
  accessTokenTtl?: number;
  /** @default {14 days} */
  refreshTokenTtl?: number;
  /** @default {3600} */
  idTokenTtl?: number;
  /** @default {600} */
  deviceCodeTtl?: number;
  /** The `interval` of device answers. The real provider sends none, which means 5 seconds. */
  interval?: number;
  /** A new refresh token at each refresh; use of an old one revokes the whole grant. @default {true} */
  rotateRefreshToken?: boolean;
  /** Whether `offline_access` brings a refresh token. @default {true} */
  issueRefreshToken?: boolean;
  /** @default {true} */
  revocation?: boolean;
  /** Access tokens are RFC 9068 JWTs instead of opaque ones; introspection refuses those. */
  jwtAccessTokens?: boolean;
  /** Path of the issuer, such as `/realms/acme`; a trailing slash becomes part of the issuer. */
  path?: string;
  /** Last word on the provider's configuration. */
  configure?: (config: Configuration) => void | Promise<void>;
}

/** A grant that oidc-provider does not have by itself: RFC 8693. */
export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const EXCHANGED = ["subject_token", "subject_token_type", "requested_token_type", "audience"];

/** What {@linkcode TestOidcProvider.beforeAnswer} may ask for. */
export type AnswerFault = "drop" | void;

/** Making a key takes longer than all the rest, so that one process makes only one. */
let sharedKey: Promise<SigningKey> | undefined;

/** Starts the certified `oidc-provider` in this process, on loopback. */
export async function startOidcProvider(options: OidcProviderOptions = {}) {
  sharedKey ??= makeKey("ES256"); // RSA would take a seventh of the tests' time
  const [module, signingKey, server] = await Promise.all([
    loadOidcProvider(),
    sharedKey,
    startNodeServer(),
  ]);
  const issuer = `http://127.0.0.1:${server.port}${options.path ?? ""}`;
  const mount = (options.path ?? "").replace(/\/$/, "");
  const store = new OidcStore();
  const config = oidcConfig(options, store, signingKey);
  await options.configure?.(config);
  const provider = new module.Provider(issuer, config);
  const running = new TestOidcProvider(issuer, server, provider, store, signingKey);
  running.install(options, mount);
  return running;
}

/** A running provider. */
export class TestOidcProvider implements AsyncDisposable {
  readonly clientId = CLIENT_ID;
  /**
   * Called when an answer is ready and before it goes out: a promise delays it, `"drop"` cuts the
   * connection, so that the client never learns what the provider has done. `fetch` may then send the
   * request again by itself: see `resetConnection` in `http_server.ts`.
   */
  beforeAnswer: ((request: RecordedRequest) => AnswerFault | Promise<AnswerFault>) | undefined;
  /** Approves each device code as soon as it is issued, as if a person stood by. @default {false} */
  autoApprove: boolean | ApproveOptions = false;
  readonly #log = new RequestLog();
  readonly #approver: Approver;

  constructor(
    readonly issuer: string,
    private readonly server: NodeServer,
    private readonly provider: Provider,
    private readonly store: OidcStore,
    private readonly signingKey: SigningKey,
  ) {
    this.#approver = new Approver(`${issuer.replace(/\/$/, "")}/device`);
  }

  /** Where it listens. */
  get port(): number {
    return this.server.port;
  }

  /** Requests of clients, pages of the browser left out. Always the same array. */
  get requests(): RecordedRequest[] {
    return this.#log.entries;
  }

  /** Gives the client a token for any token of another. */
  async #exchange(ctx: KoaContextWithOIDC): Promise<void> {
    const token = new this.provider.ClientCredentials({ client: ctx.oidc.client! });
    const issued_token_type = ctx.oidc.params!.requested_token_type;
    const access_token = await token.save();
    ctx.body = { access_token, issued_token_type, token_type: "Bearer", expires_in: 600 };
  }

  install({ interval }: Pick<OidcProviderOptions, "interval">, mount: string): void {
    const provider = this.provider;
    provider.use((ctx, next) => this.#record(ctx as unknown as KoaContextWithOIDC, next));
    provider.on("device_authorization.success", (ctx, body) => {
      if (interval !== undefined) Object.assign(ctx.body as object, { interval });
      if (this.autoApprove === false) return;
      const how = this.autoApprove === true ? {} : this.autoApprove;
      this.#approver.mind(this.approve(String(body.user_code), how));
    });
    provider.registerGrantType(EXCHANGE, (ctx) => this.#exchange(ctx), EXCHANGED);
    provider.on("server_error", (_ctx, error) => this.#approver.failed(error));
    const handle = provider.callback();
    this.server.handle((request, response) => {
      // Like a mounted application: oidc-provider derives the mount path from the two.
      const url = request.url ?? "/";
      const inside = url === mount || url.startsWith(`${mount}/`);
      request.url = inside ? url.slice(mount.length) || "/" : "/not-found";
      Object.assign(request, { originalUrl: inside ? url : request.url });
      void handle(request, response);
    });
  }

  /**
   * Signs in and consents (or denies), as a person would on the provider's pages, over HTTP. What asks for
   * scopes alone is approved as the pages do at their end: they took most of a sign-in's time.
   */
  async approve(userCode: string, options: ApproveOptions = {}): Promise<void> {
    const { deny = false, login = ACCOUNT.sub } = options;
    const code = await this.provider.DeviceCode.findByUserCode(userCode.replace("-", ""));
    const { client_id: clientId = "", scope = "", resource, ...more } = code?.params ?? {};
    const isPlain = String(resource ?? "") === "" && Object.keys(more).length === 0;
    if (code === undefined || deny || !isPlain) {
      return await this.#approver.approve(userCode, options);
    }
    const grant = new this.provider.Grant({ accountId: login, clientId: String(clientId) });
    grant.addOIDCScope(String(scope));
    const grantId = await grant.save();
    const authTime = Math.floor(Date.now() / 1000);
    await Object.assign(code, { accountId: login, authTime, grantId, scope }).save();
  }

  /** Opens a link of the browser flow, signs in and consents; gives the page that the browser ends on. */
  follow(url: string, options?: FollowOptions): Promise<Page> {
    return this.#approver.follow(url, options);
  }

  /**
   * Whether an access or refresh token is good now, without a request being recorded. Of a JWT only
   * signature, issuer and expiry are looked at: like any API, it does not learn of a revoked grant.
   */
  async isActive(token: string): Promise<boolean> {
    const claims = await verifyJwt(token, this.signingKey.publicJwk);
    if (claims !== undefined) {
      return claims.iss === this.issuer && Number(claims.exp) * 1000 > Date.now();
    }
    const ofClient = await this.provider.ClientCredentials.find(token);
    if (ofClient !== undefined) return ofClient.isValid;
    const found = await this.provider.AccessToken.find(token) ??
      await this.provider.RefreshToken.find(token);
    const grantId = found?.grantId;
    if (!found?.isValid || grantId === undefined) return false;
    return await this.provider.Grant.find(grantId) !== undefined;
  }

  /** Ends the life of access tokens; introspection and the tracking API then refuse them. */
  expireAccessTokens(): void {
    this.store.expire("AccessToken");
    this.store.expire("ClientCredentials");
  }

  /** Drops all grants and their tokens, as an administrator would. */
  revokeGrants(): void {
    this.store.revoke();
  }

  /** Empties `requests`. */
  reset(): void {
    this.#log.reset();
  }

  async #record(ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> {
    const url = new URL((ctx.req as { originalUrl?: string }).originalUrl ?? "/", this.issuer);
    const isPage = ctx.path === "/device" || /^\/auth(\/|$)/.test(ctx.path) ||
      /^\/(device\/(?!auth$)|interaction\/)/.test(ctx.path);
    if (isPage) {
      // Its styles would ask a server of fonts. It adds its own script.
      const sources = "default-src 'none'; style-src 'unsafe-inline'; script-src 'none'";
      ctx.set("content-security-policy", sources);
      return await next();
    }
    const headers = new Headers(ctx.headers as Record<string, string>);
    const entry = this.#log.start(ctx.method, url, headers);
    await next();
    rememberSecrets(ctx.body);
    this.#log.setForm(entry, Object.entries((ctx.oidc?.body ?? {}) as object));
    const fault = await this.beforeAnswer?.({ ...entry, status: ctx.status });
    if (fault === "drop") {
      ctx.respond = false;
      this.server.drop(ctx.req);
    }
    entry.status = ctx.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const problems = await this.#approver.close();
    await this.server[Symbol.asyncDispose]();
    if (problems.length > 0) throw new AggregateError(problems, "The test provider had errors");
  }
}

/** Remembers the secrets of an answer. */
function rememberSecrets(body: unknown): void {
  for (const name of ["access_token", "refresh_token", "id_token", "device_code"]) {
    const secret = (body as Record<string, unknown> | null | undefined)?.[name];
    if (typeof secret === "string") rememberSecret(secret);
  }
}
