import { fromFileUrl } from "@std/path";
import { Browser } from "../../../support/browser.ts";
import { makeKey } from "../../../support/jwt.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { startServerProcess } from "../../../support/servers/server_process.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** From `servers.ts`. */
const VERSION = "3.4.1";
const PERSON = { username: "analyst@example.com", password: "a-password" };
const PROGRAM = fromFileUrl(new URL("django_provider.py", import.meta.url));
const NO_DPOP = "It has no DPoP.";
const NO_ID_TOKEN = "Its device flow gives no ID token. The tests run it without one.";
const ONE_GRANT = "A client has one grant. The tests run it with another client.";

/** django-oauth-toolkit, in a project of one file. */
export const DJANGO: ProviderKind<DjangoProvider> = {
  name: "Django",
  version: VERSION,
  needs: ["django-oauth-toolkit"],
  cannot: {
    "device flow, refresh and sign-out": NO_ID_TOKEN,
    "client with its secret": NO_ID_TOKEN,
    "browser instead of the device flow":
      "It gives a code to every client, and refuses it after the approval.",
    "DPoP": NO_DPOP,
    "DPoP in the browser": NO_DPOP,
    "DPoP missing": NO_DPOP,
    "client_credentials with a secret": ONE_GRANT,
    "client_credentials with a key": "It takes nothing but a secret for client_credentials.",
    "client disabled": "It has no disabled clients.",
    "person disabled": "It does not check the person at a refresh.",
  },
  async start() {
    const server = await startServerProcess({
      command: [await serverBinary("django-oauth-toolkit"), PROGRAM, String(freePort())],
      env: { OIDC_KEY: (await makeKey()).pem, PYTHONDONTWRITEBYTECODE: "1" },
      readyOn: "stdout",
      ready: /^(http:\S+)$/,
    });
    return {
      provider: () => Promise.resolve(new DjangoProvider(server.said)),
      [Symbol.asyncDispose]: () => server.end("KILL"),
    };
  },
};

/** The server as one test sees it. */
export class DjangoProvider implements MatrixProvider {
  constructor(readonly issuer: string) {}

  client(kind: ClientKind): TestClient {
    if (kind !== "secret") return { clientId: kind };
    return { clientId: kind, clientSecret: "a-secret-of-the-client" };
  }

  async follow(url: string, { deny = false } = {}): Promise<void> {
    const browser = new Browser();
    let page = await browser.open(url);
    page = await browser.submit(page, PERSON);
    page = await browser.submit(page); // the code, or the consent
    if (!url.includes("user_code=")) return;
    await browser.submit(page, { action: deny ? "deny" : "accept" });
  }

  async endSession(): Promise<void> {
    await this.#control("end-session");
  }

  async rotateKeys(): Promise<void> {
    await this.#control("rotate-keys", { key: (await makeKey()).pem });
  }

  async isActive(token: string): Promise<boolean> {
    return await this.#control("is-active", { token }) === true;
  }

  /** What an administrator does. */
  async #control(action: string, fields: Record<string, string> = {}): Promise<unknown> {
    const url = new URL(`/control/${action}`, this.issuer);
    const response = await fetch(url, { method: "POST", body: new URLSearchParams(fields) });
    if (!response.ok) throw new Error(`Cannot ${action}: ${response.status}`);
    return await response.json();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
