import { Browser, type Page } from "../../../support/browser.ts";
import { makeKey, type SigningKey } from "../../../support/jwt.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { startServerProcess } from "../../../support/servers/server_process.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import { untilSo } from "../../../support/servers/vault_server.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** From `hydra/go.mod`: the newest that Go's proxy has by its number. */
const VERSION = "2.3.0";
const SECRET = "a-secret-of-the-client";
const PERSON = "analyst@example.com";
const SCOPE = "openid profile email offline_access";
/** Nothing listens there: the tests answer for the pages, by the interface for administrators. */
const PAGES = "http://127.0.0.1:1";
const KEYS = "/keys/hydra.openid.id-token";
const NO_DEVICE_FLOW = "It has no device flow. The tests run it in the browser.";
const NO_DPOP = "It has no DPoP.";

/** Ory Hydra, with a database in memory. */
export const HYDRA: ProviderKind<HydraProvider> = {
  name: "Hydra",
  version: VERSION,
  needs: ["hydra"],
  cannot: {
    "device flow, refresh and sign-out": NO_DEVICE_FLOW,
    "device flow denied": NO_DEVICE_FLOW,
    "client without the device flow": NO_DEVICE_FLOW,
    "DPoP": NO_DPOP,
    "DPoP in the browser": NO_DPOP,
    "DPoP missing": NO_DPOP,
    "client unknown": "It tells that to the person in the browser alone.",
    "client disabled": "It has no disabled clients.",
    "person disabled": "It does not check the person at a refresh.",
  },
  async start() {
    const key = await makeKey();
    const [port, adminPort] = [freePort(), freePort()];
    const [issuer, adminUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`];
    const server = await startServerProcess({
      command: [await serverBinary("hydra"), "serve", "all", "--dev", "--sqa-opt-out"],
      env: {
        DSN: "memory",
        SECRETS_SYSTEM: crypto.randomUUID(),
        SERVE_PUBLIC_HOST: "127.0.0.1",
        SERVE_PUBLIC_PORT: String(port),
        SERVE_ADMIN_HOST: "127.0.0.1",
        SERVE_ADMIN_PORT: String(adminPort),
        URLS_SELF_ISSUER: issuer,
        URLS_LOGIN: `${PAGES}/login`,
        URLS_CONSENT: `${PAGES}/consent`,
      },
      readyOn: "stderr",
      ready: /(Setting up http server on 127.0.0.1)/,
    });
    for (const url of [issuer, adminUrl]) await untilSo(() => isReady(url));
    const provider = new HydraProvider(issuer, `${adminUrl}/admin`, key);
    await provider.rotateKeys();
    await provider.addClients();
    return {
      provider: () => Promise.resolve(provider),
      [Symbol.asyncDispose]: () => server.end("KILL"),
    };
  },
};

/** The path of a request that a page is to answer. */
function requestPath(what: "login" | "consent", { url }: Page, action = ""): string {
  const challenge = new URL(url).searchParams.get(`${what}_challenge`);
  return `/oauth2/auth/requests/${what}${action}?challenge=${challenge}`;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/ready`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false; // it does not listen yet
  }
}

/** The server, with its interface for administrators. */
export class HydraProvider implements MatrixProvider {
  readonly hasDeviceFlow = false;

  constructor(readonly issuer: string, readonly adminUrl: string, readonly key: SigningKey) {}

  async addClients(): Promise<void> {
    const basic = { token_endpoint_auth_method: "client_secret_basic", client_secret: SECRET };
    const byKey = {
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [this.key.publicJwk] },
    };
    const none = { token_endpoint_auth_method: "none" };
    const ways: Record<string, object> = { public: none, browser: none, secret: basic, key: byKey };
    for (const [client_id, way] of Object.entries(ways)) {
      await this.addClient({ client_id, ...way });
    }
    await this.addClient({ client_id: "once", ...none, scope: "openid email" });
  }

  async addClient(client: object): Promise<void> {
    await this.admin("POST", "/clients", {
      redirect_uris: ["http://127.0.0.1/callback"],
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      response_types: ["code"],
      scope: SCOPE,
      ...client,
    });
  }

  client(kind: ClientKind): TestClient {
    return {
      clientId: kind,
      ...(kind === "secret" && { clientSecret: SECRET }),
      ...(kind === "key" && { clientKey: { ...this.key.privateJwk, alg: "RS256" } }),
    };
  }

  /** Accepts all that is asked for, as the pages of a company would. */
  async follow(url: string): Promise<void> {
    const browser = new Browser(undefined, PAGES);
    const login = await browser.open(url);
    const consent = await browser.open(await this.#accept("login", login, { subject: PERSON }));
    const path = requestPath("consent", consent);
    const { requested_scope } = await this.admin("GET", path) as { requested_scope: string[] };
    const grant = { grant_scope: requested_scope, session: { id_token: { email: PERSON } } };
    await browser.open(await this.#accept("consent", consent, grant));
  }

  /** Gives the address that the person is led to. */
  async #accept(what: "login" | "consent", page: Page, body: object): Promise<string> {
    const path = requestPath(what, page, "/accept");
    const { redirect_to } = await this.admin("PUT", path, body) as { redirect_to: string };
    return redirect_to;
  }

  async endSession(): Promise<void> {
    await this.admin("DELETE", `/oauth2/auth/sessions/consent?subject=${PERSON}&all=true`);
  }

  async rotateKeys(): Promise<void> {
    const { privateJwk } = await makeKey(); // its own would have 4096 bits, which take seconds
    const kid = crypto.randomUUID();
    await this.admin("PUT", `${KEYS}/${kid}`, { ...privateJwk, alg: "RS256", use: "sig", kid });
  }

  async removeKey(kid: string): Promise<void> {
    await this.admin("DELETE", `${KEYS}/${kid}`);
  }

  async isActive(token: string): Promise<boolean> {
    const body = new URLSearchParams({ token });
    const response = await fetch(`${this.adminUrl}/oauth2/introspect`, { method: "POST", body });
    return (await response.json()).active;
  }

  /** A call of the interface for administrators. */
  async admin(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.adminUrl}${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot ${method} ${path}: ${response.status} ${text}`);
    return text && JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
