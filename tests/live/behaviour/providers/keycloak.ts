import { readClaims } from "../../../../client/entry/bearer.ts";
import { Browser } from "../../../support/browser.ts";
import { makeKey, type SigningKey } from "../../../support/jwt.ts";
import { type KeycloakServer, startKeycloak } from "../../../support/servers/keycloak_server.ts";
import { SERVERS } from "../../../support/servers/servers.ts";
import { PASSWORD, person, REALM, realm, SECRET, USER } from "./keycloak_realm.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** Keycloak, in a process of its own, with one realm. Each test has a person of its own. */
export const KEYCLOAK: ProviderKind<KeycloakRealm> = {
  name: "Keycloak",
  version: SERVERS.keycloak.version,
  needs: ["keycloak"],
  cannot: {},
  async start() {
    const server = await startKeycloak();
    const key = await makeKey();
    await server.admin("POST", "", realm(key));
    return {
      async provider() {
        const realm = new KeycloakRealm(server, key);
        await realm.addPerson();
        return realm;
      },
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** The realm, with a person of one test's own. */
export class KeycloakRealm implements MatrixProvider {
  readonly issuer: string;
  /** The person's path in the REST API for administrators. */
  user = "";

  constructor(readonly server: KeycloakServer, readonly key: SigningKey) {
    this.issuer = `http://127.0.0.1:${server.port}/realms/${REALM}`;
  }

  async addPerson(): Promise<void> {
    await this.admin("POST", "/users", person(USER, PASSWORD));
    const [user] = await this.admin("GET", `/users?username=${USER}`) as { id: string }[];
    this.user = `/users/${user!.id}`;
  }

  client(kind: ClientKind): TestClient {
    return {
      clientId: kind,
      ...(kind === "secret" && { clientSecret: SECRET }),
      ...(kind === "key" && { clientKey: { ...this.key.privateJwk, alg: "RS256" } }),
    };
  }

  /** Consents where the page asks for it. */
  async follow(url: string, { deny = false } = {}): Promise<void> {
    const browser = new Browser();
    let page = await browser.open(url);
    page = await browser.submit(page, { username: USER, password: PASSWORD });
    if (page.forms.length === 0) return;
    await browser.submit(page, deny ? { cancel: "No" } : { accept: "Yes" });
  }

  async endSession(): Promise<void> {
    await this.admin("POST", `${this.user}/logout`);
    // Sign-ins that go on without a session, which offline_access makes, end with the consent.
    await this.admin("DELETE", `${this.user}/consents/public`);
  }

  async disablePerson(): Promise<void> {
    await this.admin("PUT", this.user, { enabled: false });
  }

  async rotateKeys(): Promise<void> {
    const { id } = await this.admin("GET", "") as { id: string };
    await this.admin("POST", "/components", {
      name: "rotated",
      providerId: "rsa-generated",
      providerType: "org.keycloak.keys.KeyProvider",
      parentId: id,
      config: { priority: [String(Date.now())], keySize: ["2048"] },
    });
  }

  async isActive(token: string): Promise<boolean> {
    const { typ, sid, azp } = readClaims(token)!;
    if (typ === "Offline") return await this.#hasOfflineSession(String(azp), sid);
    const body = new URLSearchParams({ token, client_id: "secret", client_secret: SECRET });
    const url = `${this.issuer}/protocol/openid-connect/token/introspect`;
    const response = await fetch(url, { method: "POST", body });
    return (await response.json()).active;
  }

  /** Introspection tells of a refresh token to none but its client, which has to prove itself. */
  async #hasOfflineSession(clientId: string, id: unknown): Promise<boolean> {
    const [client] = await this.admin("GET", `/clients?clientId=${clientId}`) as { id: string }[];
    const path = `${this.user}/offline-sessions/${client!.id}`;
    const sessions = await this.admin("GET", path) as { id: string }[];
    return sessions.some((session) => session.id === id);
  }

  /** A call of the REST API for administrators, whose path follows the realm's. */
  async admin(method: string, path: string, body?: unknown): Promise<unknown> {
    return await this.server.admin(method, `/${REALM}${path}`, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin("DELETE", this.user);
  }
}
