import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { AuthEvent } from "./auth_event.ts";
import type { ClearOptions } from "./clear_result.ts";

/**
 * Which token goes on requests. `auto` is the ID token for Microsoft Entra issuers, as in the
 * Python library, and the access token for all others.
 */
export type BearerKind = "auto" | "access_token" | "id_token";

/** What a person needs to approve a sign-in. None of it is a secret: RFC 8628, section 3.3. */
export interface DeviceCode {
  /** The page to open. */
  readonly verificationUri: string;
  /** The code to enter there. */
  readonly userCode: string;
  /** The page with the code filled in, where the provider offers it. */
  readonly verificationUriComplete?: string;
  /** When the code ends. */
  readonly expiresAt: Date;
  /** The provider that is asked. */
  readonly issuer: string;
}

/** Options of `createSession`. */
export interface SessionOptions {
  /**
   * Issuer identifier of the OpenID Provider. `https:`, or `http:` on a loopback host.
   *
   * @default VM_OIDC_ISSUER
   */
  issuer?: string;
  /**
   * Id of an OAuth client for which the device flow is enabled, as a rule a public one.
   *
   * @default VM_OIDC_CLIENT_ID
   */
  clientId?: string;
  /**
   * Secret of the client, for a provider that gives one to programs on people's own machines too, as
   * Google does. It goes to the provider only, and is never stored.
   *
   * @default VM_OIDC_CLIENT_SECRET, which is read when the provider is needed, and only for the
   * client that VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID name where they are set; else no secret
   */
  clientSecret?: string;
  /**
   * Scope to ask for. Without `offline_access` many providers give no refresh token, and the person
   * signs in again when the token ends.
   *
   * @default VM_OIDC_SCOPE, or "openid profile email offline_access"
   */
  scope?: string;
  /**
   * API identifier that the tokens are asked for, for providers such as Auth0.
   *
   * @default VM_OIDC_AUDIENCE
   */
  audience?: string;
  /**
   * Tells several sign-ins to one client apart, such as those of two people or two scopes: each
   * profile has a stored entry of its own. Letters, digits and `. _ @ + -`, at most 64.
   *
   * @default VM_OIDC_PROFILE, or the entry without a profile
   */
  profile?: string;
  /**
   * API key, instead of OIDC. `"..."`, the placeholder of an unedited notebook, means that the
   * options for host, model and credentials are ignored and all is taken from the environment.
   *
   * @default VM_API_KEY
   */
  apiKey?: string;
  /**
   * API secret that belongs to the key.
   *
   * @default VM_API_SECRET
   */
  apiSecret?: string;
  /**
   * Base URL of the API. `https:`, or `http:` on a loopback host.
   *
   * @default VM_API_URL, VM_API_HOST, or for `init` "http://localhost:5000/api/v1/tracking/"
   */
  apiHost?: string;
  /** The same as `apiHost`, and stronger. */
  apiUrl?: string;
  /**
   * Where tokens are kept.
   *
   * @default the one of `setDefaultBackend`, else of the environment, else the shared file
   */
  credentialsBackend?: OidcCredentialsBackend;
  /**
   * Runs a third-party backend that the environment names in a Worker with these permissions and no
   * others: see `loadBackendFromEnv`. Needs `--unstable-worker-options`.
   *
   * @default the backend runs in this process, with its permissions
   */
  isolate?: Deno.PermissionOptionsObject;
  /**
   * Which token goes on requests.
   *
   * @default "auto"
   */
  bearer?: BearerKind;
  /**
   * Whether the tokens are bound to a key that only this store has (DPoP, RFC 9449), so that a stolen
   * token alone is of no use. Needs a provider that offers it and an API that takes it; without the
   * first, the sign-in fails with `dpop_unsupported`. The entry is one of its own: switching this on
   * or off never takes a token of the other kind.
   *
   * @default false
   */
  dpop?: boolean;
  /**
   * Whether a person may be asked to sign in. `false` fails with `login_required` instead.
   *
   * @default true, unless VM_OIDC_INTERACTIVE is 0
   */
  interactive?: boolean;
  /** Shows the code to the person, instead of the built-in prompt. Polling does not wait for it. */
  onDeviceCode?: (code: DeviceCode) => void | Promise<void>;
  /**
   * Whether the built-in prompt also opens the page in the browser of the computer that this code
   * runs on, with `open`, `xdg-open` or on Windows `rundll32`. Needs `--allow-run` of that program;
   * where it is not granted, or no browser comes, the prompt says so and the person opens the link.
   *
   * @default false
   */
  openBrowser?: boolean;
  /**
   * Is told what happens, for a log: sign-in, refresh, waits, storing. No event has a token, a code
   * or a name in it. What the function throws is dropped; nothing waits for it.
   */
  onEvent?: (event: AuthEvent) => void;
  /**
   * Makes all requests, to the provider and to the API.
   *
   * @default globalThis.fetch
   */
  fetch?: typeof globalThis.fetch;
  /** Ends the sign-in. */
  signal?: AbortSignal;
  /**
   * Longest time for one request, in milliseconds.
   *
   * @default VM_API_TIMEOUT (in seconds), or 30_000
   */
  timeoutMs?: number;
  /**
   * The clock by which tokens expire, in milliseconds since the epoch. For tests.
   *
   * @default Date.now
   */
  now?: () => number;
  /**
   * Waits between polls, until `ms` have passed or `signal` aborts. For tests.
   *
   * @default a timer
   */
  delay?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** Options of `init`. */
export interface InitOptions extends SessionOptions {
  /**
   * The model's CUID in ValidMind.
   *
   * @default VM_API_MODEL
   */
  model?: string;
  /** The document type to work on. */
  document?: string;
  /**
   * Whether calls belong to ongoing monitoring.
   *
   * @default false
   */
  monitoring?: boolean;
}

/** Options of `clearOidcCredentials`. */
export interface ClearOidcCredentialsOptions extends ClearOptions {
  /**
   * Clears every entry of the backend, whoever's it is: all that `list()` names, or, where the store
   * cannot be understood, the store.
   *
   * @default false
   */
  all?: boolean;
  /**
   * Whose entry to clear.
   *
   * @default that of the active session, or VM_OIDC_ISSUER
   */
  issuer?: string;
  /**
   * The client id of the entry.
   *
   * @default that of the active session, or VM_OIDC_CLIENT_ID
   */
  clientId?: string;
  /**
   * Secret of the client, for a provider that wants it to revoke tokens. With `all` it goes only to
   * the client that issuer and clientId, or what they default to, name.
   *
   * @default that of the active session if neither issuer nor clientId is given, or
   * VM_OIDC_CLIENT_SECRET, as in `init()`
   */
  clientSecret?: string;
  /**
   * The audience of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_AUDIENCE
   */
  audience?: string;
  /**
   * The profile of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_PROFILE
   */
  profile?: string;
  /**
   * Where the entry is.
   *
   * @default that of the active session, or what `init()` would use
   */
  credentialsBackend?: OidcCredentialsBackend;
  /**
   * Runs a third-party backend that the environment names in a Worker with these permissions and no
   * others: see `loadBackendFromEnv`.
   *
   * @default the backend runs in this process, with its permissions
   */
  isolate?: Deno.PermissionOptionsObject;
  /**
   * Makes the requests of a revocation.
   *
   * @default globalThis.fetch
   */
  fetch?: typeof globalThis.fetch;
  /**
   * Longest time for one request of a revocation, in milliseconds.
   *
   * @default 30_000
   */
  timeoutMs?: number;
  /** Is told what was cleared, for a log: see the option of the same name of `init`. */
  onEvent?: (event: AuthEvent) => void;
}
