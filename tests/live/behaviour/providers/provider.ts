import type { LiveNeed } from "../../../support/servers/live_tests.ts";
import type { RowName } from "./rows.ts";

/**
 * How a client is registered. All but the last two are for the device flow, the flow in the browser
 * (redirect URI `http://127.0.0.1/callback`, any port) and refresh tokens that are used once; all
 * have the scope `openid profile email offline_access`.
 */
export type ClientKind =
  /** Has nothing to prove itself by. */
  | "public"
  /** Public, and all its tokens have to be bound to a key by DPoP. */
  | "dpop"
  /** Confidential, with a secret. It may also sign in itself, by client_credentials. */
  | "secret"
  /** Confidential, with a key that signs its assertions. It may also sign in itself. */
  | "key"
  /** Public, without the device flow. */
  | "browser"
  /** Public, and switched off. */
  | "disabled";

/** A client that a provider knows. */
export interface TestClient {
  readonly clientId: string;
  readonly clientSecret?: string;
  /** The private key of a client that signs assertions, as a JWK with `alg`. */
  readonly clientKey?: JsonWebKey;
}

/** A provider of one test's own, with one person: `analyst@example.com`. */
export interface MatrixProvider extends AsyncDisposable {
  readonly issuer: string;
  /** Rows of the device flow run in the browser where it has none. @default {true} */
  readonly hasDeviceFlow?: boolean;
  /** The client that is registered so. */
  client(kind: ClientKind): TestClient;
  /** Opens a link of a sign-in, signs the person in, and approves what is asked, or denies it. */
  follow(url: string, options?: { deny?: boolean }): Promise<void>;
  /** Ends the person's sign-in, as an administrator does. */
  endSession(): Promise<void>;
  /** Switches the person's account off. */
  disablePerson?(): Promise<void>;
  /** Signs with a new key from now on. The old one may be gone from the provider's keys. */
  rotateKeys(): Promise<void>;
  /** Whether an access or refresh token is good now, as the provider says without being changed. */
  isActive(token: string): Promise<boolean>;
}

/** A kind of provider: one file implements it, and the same rows run against all of them. */
export interface ProviderKind<P extends MatrixProvider = MatrixProvider> {
  /** Its name, as pages call it. */
  readonly name: string;
  readonly version: string;
  /** What tests need of the machine. */
  readonly needs: readonly LiveNeed[];
  /** The rows that it cannot run, each with the reason. */
  readonly cannot: Partial<Record<RowName, string>>;
  /** Starts what all tests of a file share, which makes a provider for one test. */
  start(): Promise<{ provider(): Promise<P> } & AsyncDisposable>;
}
