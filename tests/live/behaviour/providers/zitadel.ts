import { Browser } from "../../../support/browser.ts";
import { makeKey, type SigningKey } from "../../../support/jwt.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { startServerProcess } from "../../../support/servers/server_process.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** From `zitadel/go.mod`. */
const VERSION = "3.52.0";
const PERSON = { username: "analyst@example.com", password: "a-password" };
const NO_DPOP = "It has no DPoP.";

/** The library of ZITADEL, by its own example of a server, whose storage is in memory. */
export const ZITADEL: ProviderKind<ZitadelProvider> = {
  name: "ZITADEL",
  version: VERSION,
  needs: ["zitadel"],
  cannot: {
    "DPoP": NO_DPOP,
    "DPoP in the browser": NO_DPOP,
    "DPoP missing": NO_DPOP,
    "client_credentials with a key": "It takes nothing but a secret for client_credentials.",
    "client unknown": "It answers with status 500 about a client that it does not know.",
    "client disabled": "It has no disabled clients.",
    "refresh token used twice": "It does not detect the reuse of a refresh token.",
    "person disabled": "It does not check the person at a refresh.",
  },
  async start() {
    const key = await makeKey();
    const server = await startServerProcess({
      command: [await serverBinary("zitadel"), `127.0.0.1:${freePort()}`],
      env: { CLIENT_KEYS: JSON.stringify({ keys: [key.publicJwk] }) },
      readyOn: "stdout",
      ready: /^(http:\S+)$/,
    });
    return {
      provider: () => Promise.resolve(new ZitadelProvider(server.said, key)),
      [Symbol.asyncDispose]: () => server.end("KILL"),
    };
  },
};

/** The server as one test sees it. */
export class ZitadelProvider implements MatrixProvider {
  constructor(readonly issuer: string, readonly key: SigningKey) {}

  client(kind: ClientKind): TestClient {
    return {
      clientId: kind,
      ...(kind === "secret" && { clientSecret: "a-secret-of-the-client" }),
      ...(kind === "key" && { clientKey: { ...this.key.privateJwk, alg: "RS256" } }),
    };
  }

  /** Only the page for a code asks for consent. */
  async follow(url: string, { deny = false } = {}): Promise<void> {
    const browser = new Browser();
    const page = await browser.open(url);
    await browser.submit(page, PERSON);
    if (!url.includes("user_code=")) return;
    const action = deny ? "denied" : "allowed";
    await browser.open(`${this.issuer}/device/confirm?action=${action}`);
  }

  async endSession(): Promise<void> {
    await this.#control("end-session", { person: PERSON.username, client: "public" });
  }

  async rotateKeys(): Promise<void> {
    await this.#control("rotate-keys");
  }

  async isActive(token: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${this.issuer}/userinfo`, { headers });
    await response.body?.cancel();
    return response.ok || await this.#control("has-refresh-token", { token }) === "true";
  }

  /** What an administrator does. */
  async #control(action: string, fields: Record<string, string> = {}): Promise<string> {
    const body = new URLSearchParams(fields);
    const response = await fetch(`${this.issuer}/control/${action}`, { method: "POST", body });
    if (!response.ok) throw new Error(`Cannot ${action}: ${response.status}`);
    return await response.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
