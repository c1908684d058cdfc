import type { prepare } from "../../create_session.ts";
import { asksNobody } from "../../entry/bearer_kind.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { named } from "../../options/declaration.ts";
import type { OidcIdentity } from "../../options/resolve_identity.ts";
import type { Runtime } from "../../options/resolve_options.ts";
import { assertCanSignIn } from "../../provider/discovery.ts";
import { MAX_SKEW_SECONDS, reachEndpoint } from "../../provider/fetch.ts";
import { noSigner, signsTokens } from "../../provider/id_token.ts";
import { type OidcProvider, openProvider } from "../../provider/oidc_provider.ts";
import { fetchKeys } from "../../provider/token_request.ts";
import { requestUnattended } from "../../provider/unattended_grants.ts";
import { chosenFlow } from "../../sign_in/choose_flow.ts";
import type { AskOptions } from "../../sign_in/flow.ts";
import { type Answer, type Findings, notTried, ok } from "./findings.ts";

/** A call whose options are checked. */
export type PreparedCall = Awaited<ReturnType<typeof prepare>>;

const DROPPED = ok("the provider gave a token, which was dropped");
const CODE_SHOWN = ok("the provider gave a device code, which was dropped");
const LINK_SHOWN = ok("the browser can be opened, and its answer be received");
const HELD_BACK = notTried("the request would send the client's assertion, which may serve once");
const APPROVAL = notTried("a person signs in and approves at the provider");

/** A sign-in at the provider that stops before the person. Nothing is stored. */
export class Trial {
  readonly #provider: OidcProvider;
  readonly #runtime: Runtime;
  readonly #ask: AskOptions;
  /** Ends the flow: by the answer of its check, or by an error. */
  readonly #stop = new AbortController();

  private constructor(provider: OidcProvider, runtime: Runtime, ask: AskOptions) {
    this.#provider = provider;
    this.#runtime = runtime;
    this.#ask = ask;
    const { emit } = runtime;
    runtime.delay = () => Promise.resolve(); // the first poll tells as much without a pause
    runtime.emit = (event, error) => {
      emit?.(event, error);
      if (event.type === "sign_in_waiting") this.#stop.abort(error ?? CODE_SHOWN);
      if (event.type === "link_shown") this.#stop.abort(LINK_SHOWN);
    };
  }

  static async open({ options, resolved }: PreparedCall, identity: OidcIdentity): Promise<Trial> {
    const runtime = { ...resolved.runtime };
    const unseen = () => {};
    return new Trial(await openProvider(identity, runtime), runtime, {
      ...options,
      flow: identity.flow,
      onDeviceCode: unseen,
      onAuthorizationUrl: unseen,
    });
  }

  /** Whether the client proves itself by an assertion of somebody else, which may serve once. */
  get hasAssertion(): boolean {
    return this.#identity.proof?.option.startsWith("clientAssertion") ?? false;
  }

  get #identity(): OidcIdentity {
    return this.#provider.identity;
  }

  get #isAlone(): boolean {
    return asksNobody(this.#identity.flow);
  }

  async examine(findings: Findings): Promise<void> {
    if (!await findings.examine("provider", () => this.#checkProvider())) return;
    await findings.examine("clock", () => this.#checkClock());
    await findings.examine("endpoints", () => this.#checkEndpoints());
    const needsKeys = !this.#isAlone && this.#identity.scope.split(" ").includes("openid");
    if (needsKeys) await findings.examine("keys", () => this.#checkKeys());
    await findings.examine("proof", () => this.#checkProof());
    const isToBeHad = await findings.examine("flow", () => this.#checkFlow());
    if (isToBeHad && !this.#isAlone) findings.add("approval", APPROVAL);
  }

  async #checkProvider(): Promise<Answer> {
    await this.#provider.prepare("find the provider's endpoints");
    return ok(`${this.#identity.issuer} answers correctly`);
  }

  /** The clock, by which tokens are judged. */
  #checkClock(): Promise<Answer> {
    const { skew } = this.#runtime;
    if (skew === undefined) return Promise.resolve(ok("the provider tells no time"));
    const words = `${Math.abs(skew)} s ${skew > 0 ? "behind" : "ahead of"} the provider's`;
    if (Math.abs(skew) <= MAX_SKEW_SECONDS) return Promise.resolve(ok(words));
    throw new ValidMindAuthError("id_token_invalid", {
      action: `sign in at ${this.#identity.issuer}`,
      reason: `this computer's clock is ${words}`,
      remedy: "Set it.",
    });
  }

  /** The hosts of the flow's requests. */
  async #checkEndpoints(): Promise<Answer> {
    return await this.#provider.use("sign in", undefined, async ({ identity, server }) => {
      assertCanSignIn(server, identity);
      const { token_endpoint, device_authorization_endpoint } = server;
      const urls = [token_endpoint!];
      const asksDevice = !this.#isAlone && identity.flow !== "browser";
      if (asksDevice && device_authorization_endpoint) urls.push(device_authorization_endpoint);
      const own = new URL(identity.issuer).host;
      const others = new Map(urls.map((url) => [new URL(url).host, url]));
      others.delete(own); // its discovery document is there
      const reach = (url: string) => reachEndpoint(url, this.#runtime);
      await Promise.all([...others.values()].map(reach));
      return ok(`reached: ${[own, ...others.keys()].join(", ")}`);
    });
  }

  /** The keys that sign ID tokens. */
  async #checkKeys(): Promise<Answer> {
    return await this.#provider.use("sign in", undefined, async (context) => {
      const keys = await fetchKeys(context);
      if (!keys.some(signsTokens)) throw noSigner();
      return ok(`the provider has ${keys.length} to sign tokens by`);
    });
  }

  /** The client's proof, read and made as for a request. */
  async #checkProof(): Promise<Answer> {
    const { proof } = this.#identity;
    if (proof === undefined) return ok("none is set: a public client");
    await this.#provider.use("prove the client", undefined, async ({ auth, server, client }) => {
      await auth(server, client, new URLSearchParams(), new Headers());
    });
    return ok(`${named(proof.option)} can be used`);
  }

  /** The flow, up to the person. */
  async #checkFlow(): Promise<Answer> {
    const { signal } = this.#stop;
    if (this.hasAssertion) this.#holdBack();
    try {
      if (this.#isAlone) await requestUnattended(this.#provider);
      else await this.#signIn();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    if (signal.reason instanceof Error) throw signal.reason;
    return signal.reason ?? DROPPED;
  }

  async #signIn(): Promise<void> {
    await chosenFlow(this.#identity.flow)(this.#provider, {
      runtime: this.#runtime,
      ask: this.#ask,
      signal: this.#stop.signal,
      show: () => Promise.resolve(),
      look: () => {},
    });
  }

  /** Ends the flow at the first request that would have the assertion in its form. */
  #holdBack(): void {
    const { fetch } = this.#runtime;
    this.#runtime.fetch = async (url, init) => {
      if (init?.method === "POST") this.#stop.abort(HELD_BACK);
      this.#stop.signal.throwIfAborted();
      return await fetch(url, init);
    };
  }
}
