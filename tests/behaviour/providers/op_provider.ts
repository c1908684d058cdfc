import type { DeviceCode } from "../../../client/session_options.ts";
import { makeSigningKey, type SigningKey } from "../../support/jwt.ts";
import { OP_SECRET, type OpServer, type RunningOp } from "../../support/servers/op_server.ts";
import { Gateway } from "./gateway.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

const NO_DPOP = "the library has no DPoP";

/** The rows that no program of ours over a library can run. */
export const OP_CANNOT: ProviderKind["cannot"] = {
  "DPoP": NO_DPOP,
  "DPoP missing": NO_DPOP,
  "DPoP in the browser": NO_DPOP,
};

/** A provider of a program of ours over the library zitadel/oidc. */
export class OpProvider implements MatrixProvider {
  readonly issuer: string;

  private constructor(
    readonly gateway: Gateway,
    /** The provider itself, for settings that no other kind has. */
    readonly op: RunningOp,
    readonly clientKey: SigningKey,
  ) {
    this.issuer = gateway.origin;
  }

  static async start(server: OpServer): Promise<OpProvider> {
    const gateway = await Gateway.start();
    const clientKey = await makeSigningKey();
    const op = await server.provider(gateway.origin, clientKey.publicJwk);
    gateway.upstream = op.port;
    return new OpProvider(gateway, op, clientKey);
  }

  client(kind: ClientKind): TestClient {
    return {
      clientId: kind,
      ...(kind === "secret" && { clientSecret: OP_SECRET }),
      ...(kind === "key" && { clientKey: { ...this.clientKey.privateJwk, alg: "RS256" } }),
    };
  }

  approve({ userCode }: DeviceCode, options: { deny?: boolean } = {}): Promise<void> {
    return this.op.decide(userCode, options);
  }

  async follow(url: string, { deny = false } = {}): Promise<void> {
    await this.op.decideInBrowser({ deny });
    await (await fetch(url)).body?.cancel(); // the person is signed in on the way, or denies
  }

  endSession(): Promise<void> {
    return this.op.endSessions();
  }

  disablePerson(): Promise<void> {
    return this.op.disablePerson();
  }

  rotateKeys(): Promise<void> {
    return this.op.rotateKeys();
  }

  async isActive(token: string): Promise<boolean> {
    return await this.op.hasRefreshToken(token) || await this.#introspect(token);
  }

  async #introspect(token: string): Promise<boolean> {
    const origin = `http://127.0.0.1:${this.op.port}`; // past the gateway, which counts requests
    const discovery = await fetch(`${origin}/.well-known/openid-configuration`);
    const { introspection_endpoint } = await discovery.json();
    const response = await fetch(introspection_endpoint.replace(this.issuer, origin), {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`resource:${encodeURIComponent(OP_SECRET)}`)}` },
      body: new URLSearchParams({ token }),
    });
    return (await response.json()).active;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway[Symbol.asyncDispose]();
    await this.op[Symbol.asyncDispose]();
  }
}
