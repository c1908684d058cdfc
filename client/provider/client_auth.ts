import * as oauth from "oauth4webapi";
import { CLIENT_AUTH_VARIABLES } from "../options/resolve_identity.ts";
import type { ClientAuthOptions } from "../options/identity.ts";
import type { ClientFile } from "./client_file.ts";

/** Loaded where the client has a key. */
const loadClientKey = () => import("./client_key.ts");
/** Loaded where the client has an assertion. */
const loadAssertion = () => import("./client_file.ts");

/** How a client proves to a provider who it is: RFC 6749, section 2.3. */
export class ClientAuthentication {
  readonly #options: ClientAuthOptions;
  /** Whether the secret goes into the header although the provider also takes it in the form. */
  #isByHeader = false;

  constructor(options: ClientAuthOptions) {
    this.#options = options;
  }

  /** Whether the client has nothing to prove itself by: a public client. */
  get isNone(): boolean {
    return Object.keys(this.#options).length === 0;
  }

  /** Secrets that an error must not show, beside those in the request's form. */
  get secrets(): string[] {
    const { clientSecret } = this.#options;
    return clientSecret === undefined ? [] : [clientSecret];
  }

  /**
   * The same for oauth4webapi. A secret goes into the form where the provider takes it there, since the
   * form leaves no doubt about the encoding; else into the header.
   */
  at({ token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer) {
    const { clientSecret } = this.#options;
    const keyFile = this.#file("clientKeyFile");
    const assertionFile = this.#file("clientAssertionFile");
    if (keyFile !== undefined) {
      return later(async () => (await loadClientKey()).byClientKey(keyFile));
    }
    if (assertionFile !== undefined) {
      return later(async () => (await loadAssertion()).byAssertionFile(assertionFile));
    }
    if (clientSecret === undefined) return oauth.None();
    // A provider that states no method takes the header: OpenID Connect Discovery, section 3.
    return methods?.includes("client_secret_post") && !this.#isByHeader
      ? oauth.ClientSecretPost(clientSecret)
      : oauth.ClientSecretBasic(clientSecret);
  }

  /**
   * Has the secret sent in the header after the provider has refused it in the form. A provider states
   * both ways, and some, such as Ory Hydra, take from each client only the way it is registered with.
   *
   * @returns Whether the request is worth another try.
   */
  turnToHeader({ token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer) {
    const isBoth = ["client_secret_post", "client_secret_basic"]
      .every((name) => methods?.includes(name));
    if (!isBoth || this.#options.clientSecret === undefined) return false;
    return this.#isByHeader = true;
  }

  /** Whether the secret has turned to the header. */
  get isByHeader(): boolean {
    return this.#isByHeader;
  }

  /** The name of the method at the provider, and the option and the variable that it is from. */
  get method(): { names: string[]; source: string } | undefined {
    const [option] = Object.keys(this.#options) as (keyof ClientAuthOptions)[];
    if (option === undefined) return undefined;
    const isSecret = option === "clientSecret";
    const names = isSecret ? ["client_secret_post", "client_secret_basic"] : ["private_key_jwt"];
    return { names, source: `${option} (${CLIENT_AUTH_VARIABLES[option]})` };
  }

  /** Reads the client's file and signs, without a request. Throws as a request would. */
  async check(server: oauth.AuthorizationServer, clientId: string): Promise<void> {
    await this.at(server)(server, { client_id: clientId }, new URLSearchParams(), new Headers());
  }

  /** The advice where the provider refuses the client; `undefined` for a public one. */
  async advice(now: number): Promise<string | undefined> {
    const { clientSecret } = this.#options;
    const keyFile = this.#file("clientKeyFile");
    const assertionFile = this.#file("clientAssertionFile");
    if (clientSecret !== undefined) {
      return "Check clientId (VM_OIDC_CLIENT_ID), and that clientSecret (VM_OIDC_CLIENT_SECRET, beside " +
        "VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID) is its secret and has not ended. A public client takes none.";
    }
    if (keyFile !== undefined) {
      return `Check clientId (VM_OIDC_CLIENT_ID), that the public key of ${keyFile.path} (${keyFile.source}) is ` +
        `registered for it, with the same kid if any, and this computer's clock.`;
    }
    if (assertionFile === undefined) return undefined;
    const { assertionDoubt } = await loadAssertion();
    const doubt = assertionDoubt(assertionFile, now);
    return "Check clientId (VM_OIDC_CLIENT_ID), and clientAssertionFile " +
      `(VM_OIDC_CLIENT_ASSERTION_FILE). ${doubt}`;
  }

  #file(option: "clientKeyFile" | "clientAssertionFile"): ClientFile | undefined {
    const path = this.#options[option];
    return path && { path, source: `${option} (${CLIENT_AUTH_VARIABLES[option]})` } || undefined;
  }
}

/** A client's proof whose code is loaded at its first use. */
function later(load: () => Promise<oauth.ClientAuth>): oauth.ClientAuth {
  return async (...request) => await (await load())(...request);
}
