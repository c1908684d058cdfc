import type { ClearOptions } from "./session.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { AuthEvent } from "./auth_event.ts";

/**
 * The token that goes on requests. `auto` is the ID token for Microsoft Entra issuers, as in the
 * Python library, and the access token for all other issuers.
 *
 * @category Sign in
 */
export type BearerKind = "auto" | "access_token" | "id_token";

/**
 * How to sign in.
 *
 * | flow | identity |
 * |---|---|
 * | `auto` | a person, by the device flow; if it is not available, by the browser |
 * | `device` | a person, with a link and a code that work on any computer: RFC 8628 |
 * | `browser` | a person, in a browser that comes back to this computer: RFC 8252 |
 * | `client_credentials` | the client itself, and nobody is asked: RFC 6749, section 4.4 |
 * | `token_exchange` | the person of a token in a file, and nobody is asked: RFC 8693 |
 *
 * @category Sign in
 */
export type SignInFlow = "auto" | "device" | "browser" | "client_credentials" | "token_exchange";

/**
 * The link and the code by which a person approves a sign-in. Not secret: RFC 8628, section 3.3.
 *
 * @category Sign in
 */
export interface DeviceCode {
  /** The page to open. */
  readonly verificationUri: string;
  /** The code to enter there. */
  readonly userCode: string;
  /** The page with the code filled in, if the provider offers one. */
  readonly verificationUriComplete?: string;
  /** When the code expires. */
  readonly expiresAt: Date;
  /** The provider that issued the code. */
  readonly issuer: string;
  /** The requested scope: less than the default where the provider refuses a part of it. */
  readonly scope: string;
}

/**
 * The link of a sign-in in the browser, and the way to hand in the address of the browser's last
 * page. Show the link to the person only.
 *
 * @category Sign in
 */
export interface AuthorizationPrompt {
  /** The page to open. */
  readonly url: string;
  /** The address of the browser's last page, without its parameters. */
  readonly redirectUri: string;
  /** When the wait for the person ends. */
  readonly expiresAt: Date;
  /**
   * Hands in the whole address of the browser's last page, for a browser on another machine. An
   * address can be used once. A wrong one is refused with `address_refused`, and the wait goes on.
   *
   * @param address The address, with its parameters.
   * @returns Once the address is accepted. The sign-in itself ends later.
   */
  submit(address: string): Promise<void>;
}

/**
 * Options of `createSession`.
 *
 * @category Sign in
 */
export interface SessionOptions {
  /**
   * Issuer identifier of the OpenID Provider. `https:`, or `http:` on a loopback host.
   *
   * @default {VM_OIDC_ISSUER}
   */
  issuer?: string;
  /**
   * Id of an OAuth client that may use the flow, usually a public client.
   *
   * @default {VM_OIDC_CLIENT_ID}
   */
  clientId?: string;
  /**
   * Secret of the client, for providers such as Google that give one to every program. It is sent to
   * the provider only and never stored. The variable counts only if
   * `VM_OIDC_ISSUER` and `VM_OIDC_CLIENT_ID` are set and name this client.
   *
   * @default {VM_OIDC_CLIENT_SECRET, or no secret}
   */
  clientSecret?: string;
  /**
   * File with the secret of the client. It is read at each use. The file has to be closed to others
   * (mode 0600), or belong to the superuser. Needs `--allow-read` of the file.
   *
   * @default {VM_OIDC_CLIENT_SECRET_FILE, under the conditions of clientSecret}
   */
  clientSecretFile?: string;
  /**
   * File with the client's private key, which signs an assertion for each request (`private_key_jwt`,
   * [RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)). It is a PEM file that begins with "BEGIN
   * PRIVATE KEY" (PKCS#8), or a private JWK. The `kid`, `alg` and `x5t#S256` of a JWK are used. Keys
   * of RSA, P-256, P-384, P-521 and Ed25519 work. The key is read at each use and never stored. The
   * file has to be closed to others (mode 0600), or belong to the superuser. Needs `--allow-read` of
   * the file. Excludes the other ways to prove the client.
   *
   * @default {VM_OIDC_CLIENT_KEY_FILE, under the conditions of clientSecret}
   */
  clientKeyFile?: string;
  /**
   * File with an assertion about the client, which the platform renews. The file holds one JWT, such
   * as the projected token of a Kubernetes service account. `AZURE_FEDERATED_TOKEN_FILE` names such a
   * file. It is read at each use, and links are followed. The assertion is never stored. Needs
   * `--allow-read` of the file. Excludes the other ways to prove the client.
   *
   * @default {VM_OIDC_CLIENT_ASSERTION_FILE, under the conditions of clientSecret}
   */
  clientAssertionFile?: string;
  /**
   * An assertion about the client: the text of one JWT, such as an ID token of GitLab CI, or a
   * function that gives one. The function is called for each request that proves the client, such as
   * for a token. It has to end within `timeoutMs`. The assertion is never stored. Excludes the other
   * ways to prove the client.
   *
   * `"github"` asks GitHub Actions for an assertion at each request, since it ends after minutes. Its
   * audience is the issuer, and for Microsoft Entra `api://AzureADTokenExchange`. `"github:AUDIENCE"`
   * names another audience. Needs
   * `--allow-env=ACTIONS_ID_TOKEN_REQUEST_URL,ACTIONS_ID_TOKEN_REQUEST_TOKEN`, and `--allow-net` for
   * the host in the first of them.
   *
   * @default {VM_OIDC_CLIENT_ASSERTION, under the conditions of clientSecret}
   */
  clientAssertion?: string | (() => string | Promise<string>);
  /**
   * File with an access token, such as a hub writes for its person. The flow `token_exchange`
   * exchanges it for a token of this client and `audience`. The file is read at each exchange, and
   * links are followed. That access token is never stored. Needs `--allow-read` of the file. Other
   * flows ignore it.
   *
   * @default {VM_OIDC_SUBJECT_TOKEN_FILE, under the conditions of clientSecret}
   */
  subjectTokenFile?: string;
  /**
   * Requested scope. Without `offline_access` many providers give no refresh token, and the person
   * has to sign in again when the token expires. If the provider refuses the default, the scopes that
   * it states are requested. A scope that you give is never changed.
   *
   * The flows `client_credentials` and `token_exchange` request no scope by default. Most providers
   * then give all that is allowed.
   *
   * @default {VM_OIDC_SCOPE, or "openid profile email offline_access"}
   */
  scope?: string;
  /**
   * Identifier of the API that the tokens are for, with providers such as Auth0. An empty text means
   * no audience, whatever the variable says.
   *
   * @default {VM_OIDC_AUDIENCE}
   */
  audience?: string;
  /**
   * Name that keeps several sign-ins at one client apart, such as two people or two scopes. Each
   * profile has its own stored entry. Letters, digits and `. _ @ + -`, at most 64.
   *
   * @default {VM_OIDC_PROFILE, or no profile}
   */
  profile?: string;
  /**
   * API key, instead of OIDC. `"..."` is the placeholder of an unedited notebook: the environment
   * then gives host, model and credentials, and their options are ignored.
   *
   * @default {VM_API_KEY}
   */
  apiKey?: string;
  /**
   * API secret that belongs to the key.
   *
   * @default {VM_API_SECRET}
   */
  apiSecret?: string;
  /**
   * File with the API secret, if `apiSecret` is absent. It is read at the start. The file has to be
   * closed to others (mode 0600), or belong to the superuser. Needs `--allow-read` of the file.
   *
   * @default {VM_API_SECRET_FILE}
   */
  apiSecretFile?: string;
  /**
   * Base URL of the API. `https:`, or `http:` on a loopback host.
   *
   * @default {VM_API_URL, or VM_API_HOST; for init() with an issuer on this computer
   * "http://localhost:5000/api/v1/tracking/"}
   */
  apiHost?: string;
  /** The same as `apiHost`, which it overrides. */
  apiUrl?: string;
  /**
   * Store of the tokens.
   *
   * @default {that of setDefaultBackend(), of the environment, or the shared file}
   */
  credentialsBackend?: OidcCredentialsBackend;
  /**
   * The token that goes on requests.
   *
   * @default {"auto"}
   */
  bearer?: BearerKind;
  /**
   * Binds the tokens to a key that only this store has (DPoP, RFC 9449). A stolen token alone is then
   * useless. If the provider does not offer DPoP, the sign-in fails with `dpop_unsupported`. The API
   * has to accept DPoP as well. Bound tokens have a stored entry of their own.
   *
   * @default {false}
   */
  dpop?: boolean;
  /**
   * The way to sign in. A stored sign-in of a person is used, whatever flow made it.
   *
   * @default {VM_OIDC_FLOW, or "auto"}
   */
  flow?: SignInFlow;
  /**
   * Whether a person may be asked to sign in. With `false` the call fails with `login_required`.
   *
   * @default {VM_OIDC_INTERACTIVE, or true unless CI is "true" and there is no terminal}
   */
  interactive?: boolean;
  /**
   * Whether the person is asked where the API wants another sign-in: see `Session.signIn`. With `"ask"`
   * the call is repeated once afterwards, if its body can be sent again. With `interactive: false` only
   * `Session.signIn` asks. A scope that names an API, such as `https://other.example.com/.default`,
   * may be another API's, and is not asked for: the call fails, and `Session.signIn` may ask for it.
   *
   * @default {"never"}
   */
  reauthenticate?: "ask" | "never";
  /** Shows the code to the person, instead of the built-in prompt. Polling does not wait for it. */
  onDeviceCode?: (code: DeviceCode) => void | Promise<void>;
  /**
   * Shows the link of a sign-in in the browser to the person, instead of the built-in prompt. The
   * listener for the browser's answer does not wait for it.
   */
  onAuthorizationUrl?: (prompt: AuthorizationPrompt) => void | Promise<void>;
  /**
   * The address that the browser comes back to, as it is registered at the provider. A loopback
   * address without a port gets a free one. `{port}` stands for the port of the listener. For
   * `localhost` there are two listeners, at 127.0.0.1 and `[::1]`. Any other address needs
   * {@linkcode SessionOptions.listen}.
   *
   * For Microsoft Entra the default is `http://localhost`. With `listen` on a JupyterHub that names
   * its address, it is `/hub/user-redirect/proxy/{port}/callback` of the hub.
   *
   * @default {VM_OIDC_REDIRECT_URI, or "http://127.0.0.1/callback"}
   */
  redirectUri?: string;
  /**
   * Loopback host and ports to listen at for the browser, such as "127.0.0.1:8765" behind a proxy, or
   * "127.0.0.1:8000,18000" to take the first free one.
   *
   * @default {VM_OIDC_LISTEN, or the host of redirectUri with its port or a free one}
   */
  listen?: string;
  /** The person's name or email for the provider's page of a sign-in in the browser. */
  loginHint?: string;
  /**
   * Further parameters of a sign-in in the browser, such as `{ prompt: "consent" }`. Parameters of
   * the protocol, and those that have an option, are refused.
   */
  authorizationParameters?: Readonly<Record<string, string>>;
  /**
   * Whether the built-in prompt also opens the page in a browser on this computer, with `open`,
   * `xdg-open` or on Windows `rundll32`. Needs `--allow-run` of that program. If it is not granted,
   * or the program fails, the prompt says so. The person then opens the link.
   *
   * The program gets only the variables of a desktop, such as `DISPLAY`, as far as Deno permits them.
   * `requiredPermissions` names them. Other users of the host may be able to read the program's
   * argument. In the device flow it is the page's address with the code in it. In the browser flow it
   * is an address of this process that leads to the page.
   *
   * In the browser flow the default is `true` in a terminal of this computer, and a failure is not shown.
   *
   * @default {false}
   */
  openBrowser?: boolean;
  /**
   * Receives each step as a structured event, without tokens, codes or names: sign-in, refresh,
   * waits, storing. Nothing waits for the function, and its errors are ignored.
   */
  onEvent?: (event: AuthEvent) => void;
  /**
   * Whether each step is shown on standard error, one line for each event of `onEvent`.
   *
   * @default {VM_AUTH_DEBUG, or false}
   */
  debug?: boolean;
  /**
   * Makes all requests, to the provider and to the API.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof globalThis.fetch;
  /** Cancels the sign-in. If an approval has already brought tokens, they are stored. */
  signal?: AbortSignal;
  /**
   * Time limit of one request, in milliseconds.
   *
   * @default {VM_API_TIMEOUT (in seconds), or 30_000}
   */
  timeoutMs?: number;
  /**
   * Clock for the expiry of tokens, in milliseconds since the epoch. For tests.
   *
   * @default {Date.now}
   */
  now?: () => number;
  /**
   * Waits between polls, until `ms` milliseconds have passed or `signal` aborts. For tests.
   *
   * @default {a timer}
   */
  delay?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Options of {@linkcode discoverApi}.
 *
 * @category Sign in
 */
export interface DiscoverApiOptions {
  /** Cancels the requests. */
  signal?: AbortSignal;
  /**
   * Makes the requests.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof globalThis.fetch;
}

/**
 * The sign-in to an API, as the API describes it. The description is the API's own: show the issuer to
 * the person before a sign-in goes there. It does not name a client.
 *
 * @category Sign in
 */
export interface DiscoveredApi {
  /** The issuers that the API accepts tokens of. */
  readonly issuers: readonly string[];
  /**
   * Options for `createSession`, beside `clientId`: the API, its audience, and if it says so, the scope
   * and `dpop`. The issuer is absent if there are several.
   */
  readonly options: Readonly<
    Pick<SessionOptions, "apiHost" | "issuer" | "scope" | "audience" | "dpop">
  >;
}

/**
 * Options of `init`.
 *
 * @category Sign in
 */
export interface InitOptions extends SessionOptions {
  /**
   * The model's CUID in ValidMind.
   *
   * @default {VM_API_MODEL}
   */
  model?: string;
  /** Type of the document to work on, such as `model_documentation`. The API has a default. */
  document?: string;
  /**
   * Whether the calls belong to ongoing monitoring.
   *
   * @default {false}
   */
  monitoring?: boolean;
}

/**
 * Options of `clearOidcCredentials`. If neither `issuer` nor `clientId` is given, the entry and the
 * client's proof are those of the active session. Otherwise absent options come from their variables,
 * as in `init()`. The backend is that of the active session, or the one that `init()` would use. With
 * `all` the client's proof is used only for entries of the client that `issuer` and `clientId` name,
 * or their defaults. No variable is read for `timeoutMs`.
 *
 * @category Sign in
 */
export interface ClearOidcCredentialsOptions extends
  ClearOptions,
  Pick<
    SessionOptions,
    | "issuer"
    | "clientId"
    | "clientSecret"
    | "clientSecretFile"
    | "clientKeyFile"
    | "clientAssertionFile"
    | "clientAssertion"
    | "flow"
    | "audience"
    | "profile"
    | "credentialsBackend"
    | "fetch"
    | "timeoutMs"
    | "onEvent"
  > {
  /**
   * Clears every entry that the backend's `list()` names, of any issuer and client. If the store
   * is corrupt, the whole store is removed.
   *
   * @default {false}
   */
  all?: boolean;
}
