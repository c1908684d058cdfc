import { Buffer } from "node:buffer";
// @ts-types="@types/oidc-provider"
import type { Configuration, JWKS } from "oidc-provider";
import type { DeviceCode } from "../../../client/session_options.ts";
import { makeSigningKey, type SigningKey } from "../../support/jwt.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { Gateway } from "./gateway.ts";
import type {
  ClientKind,
  MatrixProvider,
  ProviderKind,
  ProviderServer,
  TestClient,
} from "./provider.ts";
import { told } from "./told.ts";

const SECRET = "Zq7%/+~ x&=9Kf:w-._!*'()";

/** The certified `oidc-provider`, in the test's own process. */
export const OIDC_PROVIDER: ProviderKind = {
  name: "oidc-provider",
  version: "9.13.3",
  needs: [],
  // Otherwise it leaves out offline_access.
  authorizationParameters: { prompt: "consent" },
  cannot: {
    "browser instead of the device flow": "it refuses by invalid_request, which may mean anything",
    "client disabled": "it has no such switch",
    "clock off with DPoP, and no word of the time": "it sends the time",
  },
  // It says no more of a missing proof.
  told: { "The client has to use DPoP": told("provider_refused", "invalid_grant") },
  start: (): Promise<ProviderServer> =>
    Promise.resolve({
      provider: startProvider,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
};

async function startProvider(): Promise<MatrixProvider> {
  const gateway = await Gateway.start();
  const clientKey = await makeSigningKey();
  const person = { isEnabled: true };
  const provider = await startOidcProvider({
    origin: gateway.origin,
    interval: 1,
    configure: (config) => configure(config, clientKey, person),
  });
  gateway.upstream = provider.port;
  return new OidcProviderInProcess(provider, gateway, clientKey, person);
}

class OidcProviderInProcess implements MatrixProvider {
  readonly issuer: string;
  readonly gateway: Gateway;
  readonly #provider: TestOidcProvider;
  readonly #clientKey: SigningKey;
  readonly #person: { isEnabled: boolean };

  constructor(
    provider: TestOidcProvider,
    gateway: Gateway,
    clientKey: SigningKey,
    person: { isEnabled: boolean },
  ) {
    this.issuer = provider.issuer;
    this.gateway = gateway;
    this.#provider = provider;
    this.#clientKey = clientKey;
    this.#person = person;
  }

  client(kind: ClientKind): TestClient {
    return {
      clientId: `client-${kind}`,
      ...(kind === "secret" && { clientSecret: SECRET }),
      ...(kind === "key" && { clientKey: { ...this.#clientKey.privateJwk, alg: "RS256" } }),
    };
  }

  async approve({ userCode }: DeviceCode, { deny = false } = {}): Promise<void> {
    await this.#provider.approve(userCode, { deny });
  }

  async follow(url: string, { deny = false } = {}): Promise<void> {
    await this.#provider.follow(url, { deny });
  }

  endSession(): Promise<void> {
    this.#provider.revokeGrants();
    return Promise.resolve();
  }

  disablePerson(): Promise<void> {
    this.#person.isEnabled = false;
    return Promise.resolve();
  }

  rotateKeys(): Promise<void> {
    return this.#provider.rotateKeys();
  }

  isActive(token: string): Promise<boolean> {
    return this.#provider.isActive(token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.#provider[Symbol.asyncDispose]();
  }
}

function configure(
  config: Configuration,
  clientKey: SigningKey,
  person: { isEnabled: boolean },
): void {
  Object.assign(config.features!, {
    clientCredentials: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: Buffer.from(crypto.getRandomValues(new Uint8Array(32))),
      requireNonce: () => true,
      allowReplay: false,
    },
  });
  config.clientAuthMethods = [
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
  ];
  const find = config.findAccount!;
  config.findAccount = (...args) => person.isEnabled ? find(...args) : undefined;
  const base = config.clients![0]!;
  const grants = [...base.grant_types!, "client_credentials"];
  config.clients = [
    { ...base, client_id: "client-public" },
    { ...base, client_id: "client-dpop", dpop_bound_access_tokens: true },
    {
      ...base,
      client_id: "client-secret",
      client_secret: SECRET,
      token_endpoint_auth_method: "client_secret_post",
      grant_types: grants,
    },
    {
      ...base,
      client_id: "client-key",
      token_endpoint_auth_method: "private_key_jwt",
      grant_types: grants,
      jwks: { keys: [clientKey.publicJwk] } as JWKS,
    },
    { ...base, client_id: "client-browser", grant_types: ["authorization_code", "refresh_token"] },
  ];
}
