import { Browser } from "../../../support/browser.ts";
import { makeKey, type SigningKey } from "../../../support/jwt.ts";
import { freePort } from "../../../support/servers/free_port.ts";
import { startServerProcess } from "../../../support/servers/server_process.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { serverBinary } from "../../../support/servers/servers.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** From `spring/pom.xml`: Spring Boot 4.1.2 has it. */
const VERSION = "7.1.2";
const PERSON = { username: "analyst@example.com", password: "a-password" };
const NO_ID_TOKEN = "Its device flow gives no ID token. The tests run it without one.";

/**
 * Spring Authorization Server as it comes. It keeps the device flow and refresh tokens for clients that
 * prove themselves, so that the rows of a public client are run by one with a secret.
 */
export const SPRING: ProviderKind<SpringProvider> = {
  name: "Spring",
  version: VERSION,
  needs: ["spring"],
  cannot: {
    "device flow, refresh and sign-out": NO_ID_TOKEN,
    "client with its secret": NO_ID_TOKEN,
    "keys rotated": NO_ID_TOKEN,
    "DPoP": NO_ID_TOKEN,
    "DPoP missing": "It cannot require DPoP of a client.",
    "client disabled": "It has no disabled clients.",
    "refresh token used twice": "It does not detect the reuse of a refresh token.",
    "person disabled": "It does not check the person at a refresh.",
  },
  async start() {
    const key = await makeKey();
    const port = freePort();
    const folder = await tempDir(); // a server that is killed leaves its files
    const memory = [
      `-Djava.io.tmpdir=${folder.path}`,
      "-Xmx256m",
      "-XX:+UseSerialGC",
      "-XX:TieredStopAtLevel=1",
    ];
    const place = ["--server.address=127.0.0.1", `--server.port=${port}`];
    const server = await startServerProcess({
      command: ["java", ...memory, "-jar", await serverBinary("spring"), ...place],
      env: { CLIENT_KEYS: JSON.stringify({ keys: [key.publicJwk] }) },
      readyOn: "stdout",
      ready: /(Started Main) in/,
    });
    return {
      async provider() {
        const provider = new SpringProvider(`http://127.0.0.1:${port}`, key);
        await provider.control("reset");
        return provider;
      },
      async [Symbol.asyncDispose]() {
        await server.end("KILL");
        await folder[Symbol.asyncDispose]();
      },
    };
  },
};

/** A client with a secret. */
export function clientOf(clientId: string): TestClient {
  return { clientId, clientSecret: `the-secret-of-${clientId}` };
}

/** The server as one test sees it. */
export class SpringProvider implements MatrixProvider {
  constructor(readonly issuer: string, readonly key: SigningKey) {}

  client(kind: ClientKind): TestClient {
    if (kind === "key") {
      return { clientId: kind, clientKey: { ...this.key.privateJwk, alg: "RS256" } };
    }
    return clientOf(kind === "public" || kind === "dpop" ? "secret" : kind);
  }

  /** Consents to all scopes where the page asks for it, or to none. */
  async follow(url: string, { deny = false } = {}): Promise<void> {
    const browser = new Browser();
    let page = await browser.open(url);
    page = await browser.submit(page, PERSON);
    if (page.forms.length === 0) return;
    const { scope: _, ...fields } = page.forms[0]!.fields;
    const scopes = [...page.html.matchAll(/name="scope" value="([^"]+)"/g)].map(([, name]) =>
      name!
    );
    await browser.post(page, [
      ...Object.entries(fields),
      ...(deny ? [] : scopes).map((scope): [string, string] => ["scope", scope]),
    ]);
  }

  async endSession(): Promise<void> {
    await this.control("reset");
  }

  async rotateKeys(): Promise<void> {
    await this.control("rotate-keys");
  }

  async isActive(token: string): Promise<boolean> {
    const response = await fetch(`${this.issuer}/oauth2/introspect`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa("secret:the-secret-of-secret")}` },
      body: new URLSearchParams({ token }),
    });
    return (await response.json()).active;
  }

  /** What an administrator does. */
  async control(action: string): Promise<void> {
    const response = await fetch(`${this.issuer}/control/${action}`, { method: "POST" });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`Cannot ${action}: ${response.status}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
