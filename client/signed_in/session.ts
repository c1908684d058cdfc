import { backendName, locationOf } from "../../backends/common/describe_backend.ts";
import { given } from "../../backends/common/json.ts";
import { remember } from "../../backends/common/redaction.ts";
import { VERSION } from "../../backends/common/runtime.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import type { ApiClient, RenewalOptions } from "../api/client.ts";
import type { ApiCredentials, OwnHeaders } from "../api/transport.ts";
import { entryStatus, shownText } from "../entry/entry_status.ts";
import { ValidMindAuthError } from "../errors.ts";
import { named, SIGN_IN_WORDS } from "../options/declaration.ts";
import { type Identity, secureUrl } from "../options/resolve_identity.ts";
import {
  checkCallOptions,
  demandIn,
  type ModelOptions,
  type ResolvedOptions,
} from "../options/resolve_options.ts";
import type {
  AccessTokenOptions,
  ClearOptions,
  ClearResult,
  ClientInfo,
  DropPermissionsOptions,
  DropPermissionsResult,
  GetOptions,
  HeadersOptions,
  PostOptions,
  QueryParams,
  Session,
  SessionStatus,
  SignInOptions,
} from "../session.ts";
import type { TokenSource } from "../tokens/source.ts";
import type { StoredCredential } from "../tokens/stored_credential.ts";

/** Loaded for tokens that are bound to a key. */
const loadDpop = () => import("../api/dpop_fetch.ts");

interface SignedInSessionOptions extends ResolvedOptions {
  /** Whether a call asks the person where the API demands another sign-in. */
  asksAgain?: boolean;
  /**
   * Revokes the permissions that the session does not need any more. Deno grants them again only by
   * asking the person.
   *
   * @param willRefresh Whether the session refreshes its tokens.
   * @param all Whether to revoke every kind that the session does not need.
   */
  dropPermissions: (willRefresh: boolean, all: boolean) => Promise<DropPermissionsResult>;
  /** Only with OIDC. */
  tokens: TokenSource | undefined;
}

/** The session of `init` and `createSession`. Keeps its secrets in private fields. */
export class SignedInSession implements Session {
  declare readonly issuer?: string;
  declare readonly clientId?: string;
  declare readonly audience?: string;
  declare readonly profile?: string;
  declare readonly flow?: NonNullable<Session["flow"]>;
  declare readonly dpop?: boolean;
  declare readonly apiHost?: string;
  declare readonly model?: string;
  declare info?: ClientInfo;
  readonly #options: SignedInSessionOptions;
  #api: ApiClient | undefined;
  #isClosed = false;

  constructor(options: SignedInSessionOptions) {
    const { identity, apiHost, modelOptions } = options;
    this.#options = options;
    if (identity.kind === "oidc") {
      const { issuer, clientId, audience, profile, flow, dpop } = identity;
      const shown = { issuer, clientId, audience, profile, flow, dpop };
      Object.assign(this, given(shown));
    } else {
      remember(options.runtime.secrets, [identity.apiKey, identity.apiSecret]);
    }
    Object.assign(this, given({ apiHost, model: modelOptions?.model }));
  }

  get backend(): OidcCredentialsBackend | undefined {
    return this.#options.tokens?.stored.backend;
  }

  async accessToken(options: AccessTokenOptions = {}) {
    const tokens = this.#tokensFor("give an access token");
    checkCallOptions("give an access token", options, {
      forceRefresh: "boolean",
      signal: "signal",
    });
    const rejected = options.forceRefresh ? tokens.held.bearer?.token ?? "" : undefined;
    return (await tokens.bearer(rejected, options.signal)).token;
  }

  async signIn(options: SignInOptions) {
    const tokens = this.#tokensFor("sign in again");
    const demand = demandIn("sign in again", options);
    await (await tokens.renewal()).signInAgain(demand, options.signal);
  }

  async headers(options: HeadersOptions = {}): Promise<Headers> {
    checkCallOptions("give headers", options, { method: "text", url: "any", signal: "signal" });
    const { method = "GET", url, signal } = options;
    const target = url === undefined ? undefined : await this.#targetOf(url);
    const { headers: own, dpopKey } = await this.#headers({ signal });
    const headers = new Headers(own);
    if (dpopKey) await (await loadDpop()).addProof(headers, dpopKey, method, target);
    return headers;
  }

  async fetch(input: string | URL | Request, init?: RequestInit) {
    return await (await this.#loadApi()).fetch(input, init);
  }

  async get(path: string, params?: QueryParams, options?: GetOptions): Promise<unknown> {
    return await (await this.#loadApi()).get(path, params, options);
  }

  async post(path: string, options?: PostOptions): Promise<unknown> {
    return await (await this.#loadApi()).post(path, options);
  }

  status(): Promise<SessionStatus> {
    return Promise.try(() => this.#status());
  }

  async clear(options: ClearOptions = {}): Promise<ClearResult> {
    checkCallOptions("clear the session", options, { revoke: "boolean" });
    const { revoke = false } = options;
    const { tokens } = this.#options;
    if (!tokens) return { keys: [], revocation: "nothing_to_revoke" };
    const held = this.forget();
    const result = await (await tokens.renewal()).clear(revoke, held);
    const { keys, revocation } = result;
    this.#options.runtime.emit?.({ type: "cleared", removed: keys.length > 0, revocation });
    return result;
  }

  async dropPermissions(options: DropPermissionsOptions = {}): Promise<DropPermissionsResult> {
    checkCallOptions("drop permissions", options, { refresh: "boolean", all: "boolean" });
    const { refresh = true, all = false } = options;
    const { tokens } = this.#options;
    const willRefresh = refresh && tokens !== undefined;
    if (willRefresh) await (await tokens.renewal()).prepareRefresh();
    await this.#loadApi();
    if (this.dpop) await loadDpop();
    if (!willRefresh) tokens?.stopRefreshing();
    return await this.#options.dropPermissions(willRefresh, all);
  }

  /** May hold a secret. */
  givenIdentity(): Identity {
    return this.#options.identity;
  }

  /** May hold a secret; `undefined` with an API key. */
  storedCredential(): StoredCredential | undefined {
    return this.#options.tokens?.stored;
  }

  /** Drops the tokens in memory. Gives their entry, for a revocation. */
  forget(): OidcCredentials | undefined {
    return this.#options.tokens?.held.forget();
  }

  close() {
    this.#isClosed = true;
    this.forget();
    return Promise.resolve();
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  /** For `console.log` and the last line of a notebook's cell: identity, API and expiry, no token. */
  [Symbol.for("Deno.customInspect")](
    inspect: typeof Deno.inspect,
    options: Deno.InspectOptions,
  ) {
    return `Session ${inspect(sessionSummary(this, this.#status()), options)}`;
  }

  #tokensFor(action: string) {
    this.#assertOpen();
    const { tokens } = this.#options;
    if (tokens) return tokens;
    throw new ValidMindAuthError("no_access_token", {
      action,
      reason: `${named("apiKey")} is set, and requests carry it`,
      remedy: `To sign in instead, give ${SIGN_IN_WORDS}.`,
    });
  }

  /** The URL that headers are for: one of the API, or any secure one without an API. */
  async #targetOf(url: string | URL) {
    if (this.apiHost !== undefined) return (await this.#loadApi()).resolve(url);
    return secureUrl(String(url), "the URL", "give headers");
  }

  async #loadApi() {
    const { ApiClient } = await import("../api/client.ts");
    const { asksAgain } = this.#options;
    return this.#api ??= new ApiClient({
      ...this.#options,
      credentials: (options) => this.#credentials(options),
      ...asksAgain && { session: this },
    });
  }

  async #credentials(options: RenewalOptions): Promise<ApiCredentials> {
    const { fetch } = this.#options.runtime;
    const { headers, dpopKey } = await this.#headers(options);
    if (!dpopKey) return { headers, fetch };
    const { dpopFetch } = await loadDpop();
    return { headers, fetch: dpopFetch(fetch, dpopKey) };
  }

  async #headers({ rejected, demand, signal }: RenewalOptions) {
    this.#assertOpen();
    const { tokens } = this.#options;
    if (!tokens) return { headers: this.#ownHeaders() };
    const refused = rejected?.authorization?.replace(/^\w+ /, "");
    const bearer = await tokens.bearerAfter(refused, signal, demand);
    const dpopKey = this.dpop ? await (await tokens.renewal()).keyOf(bearer) : undefined;
    const scheme = dpopKey ? "DPoP" : "Bearer";
    return { headers: this.#ownHeaders(`${scheme} ${bearer.token}`), dpopKey };
  }

  #ownHeaders(authorization?: string): OwnHeaders {
    const { identity, modelOptions } = this.#options;
    const headers = modelOptions ? modelHeaders(modelOptions) : {};
    if (identity.kind === "oidc") return { ...headers, authorization: authorization! };
    return { ...headers, "x-api-key": identity.apiKey, "x-api-secret": identity.apiSecret };
  }

  #status(): SessionStatus {
    const { identity, tokens } = this.#options;
    if (identity.kind === "api_key" || !tokens) {
      return { kind: "api_key", signedIn: !this.#isClosed };
    }
    const { entry, bearer, alive } = tokens.held;
    const status = entryStatus(identity, entry, bearer);
    return {
      kind: "oidc",
      signedIn: alive !== undefined || status.refreshable === true,
      ...status,
      scope: identity.scope,
      backend: backendStatus(tokens.stored.backend),
    };
  }

  #assertOpen() {
    if (!this.#isClosed) return;
    throw new ValidMindAuthError("session_closed", {
      action: "use the session",
      reason: "it was closed",
      remedy: "Call init() or createSession() again.",
    });
  }
}

let activeSession: SignedInSession | undefined;

/** Makes a session the active one of this process; `undefined` leaves none. */
export function setActiveSession(session: SignedInSession | undefined) {
  activeSession = session;
}

export function peekActiveSession(): SignedInSession | undefined {
  return activeSession;
}

function modelHeaders({ model, document, monitoring }: ModelOptions): OwnHeaders {
  return {
    "x-model-cuid": model,
    "x-monitoring": monitoring ? "True" : "False", // as Python prints a bool
    "x-library-version": VERSION,
    ...(document !== undefined && { "x-document-type": document }),
  };
}

export function backendStatus(
  backend: OidcCredentialsBackend,
): NonNullable<SessionStatus["backend"]> {
  const persistent: unknown = backend.persistent;
  return {
    name: backendName(backend),
    ...given({ location: shownText(locationOf(backend)) }),
    ...(typeof persistent === "boolean" && { persistent }),
  };
}

/** The parts of a session that are shown when it is printed: nothing secret or empty. */
function sessionSummary(
  { issuer, apiHost, model }: Session,
  { kind, signedIn, email, name, subject, expiresAt, backend }: SessionStatus,
) {
  const who = email ?? name ?? subject ?? signedIn;
  return given({
    ...(kind === "api_key" ? { apiKey: signedIn } : { signedIn: signedIn && who }),
    issuer,
    apiHost,
    model,
    backend: backend && [backend.name, backend.location].filter(Boolean).join(": "),
    validUntil: expiresAt,
  });
}
