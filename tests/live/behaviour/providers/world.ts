import { FileCredentialsBackend } from "../../../../backends/file.ts";
import type { OidcCredentials } from "../../../../backends/oidc_credentials_backend.ts";
import type { SessionOptions } from "../../../../client/session_options.ts";
import { rememberSecret } from "../../../support/assert_no_secret.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { spyFetch } from "../../../support/spy_fetch.ts";
import { type TempDir, tempDir } from "../../../support/temp_home.ts";
import type { ClientKind, MatrixProvider, TestClient } from "./provider.ts";

/** One client of a provider, an empty home with a store in it, and options that join them. */
export class MatrixWorld<P extends MatrixProvider = MatrixProvider> implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly backend: FileCredentialsBackend;
  /** The flows that the person was asked by. */
  readonly asked: ("device" | "browser")[] = [];
  /** Whether the person denies what is asked. */
  denies = false;
  /** The next token request is carried out, and its answer lost; then all is as before. */
  losesAnswer = false;
  /** What sessions ask by. */
  readonly fetch = spyFetch(async (url, init) => {
    const response = await fetch(url, init);
    if (!this.losesAnswer || !/\/token\/?$/.test(url)) return response;
    this.losesAnswer = false;
    await response.body?.cancel();
    throw new TypeError("connection closed before message completed");
  });
  readonly #env: OwnEnv;

  private constructor(readonly provider: P, readonly client: TestClient, readonly home: TempDir) {
    this.#env = new OwnEnv({ HOME: home.path });
    this.backend = new FileCredentialsBackend();
  }

  static async make<P extends MatrixProvider>(provider: P, client: ClientKind | TestClient) {
    const known = typeof client === "string" ? provider.client(client) : client;
    if (known.clientSecret !== undefined) rememberSecret(known.clientSecret);
    return new MatrixWorld(provider, known, await tempDir());
  }

  /** For a client that signs in itself. */
  get jobOptions(): SessionOptions {
    const { provider: { issuer }, client: { clientId, clientSecret }, fetch } = this;
    const proof = clientSecret === undefined ? {} : { clientSecret };
    return { issuer, clientId, ...proof, credentialsBackend: this.backend, fetch };
  }

  /**
   * For a sign-in with a code, which the person approves during the first wait; no time passes but the
   * clock's. It is in the browser where the provider has no device flow.
   */
  get options(): SessionOptions {
    if (this.provider.hasDeviceFlow === false) {
      return { ...this.browserOptions, now: this.clock.now };
    }
    return {
      ...this.jobOptions,
      onDeviceCode: (code) => {
        this.asked.push("device");
        const done = this.provider.follow(code.verificationUriComplete!, { deny: this.denies });
        this.clock.onDelay = () => done;
      },
      now: this.clock.now,
      delay: this.clock.delay,
    };
  }

  /** For a sign-in in the browser, which waits in real time. */
  get browserOptions(): SessionOptions {
    return {
      ...this.jobOptions,
      flow: "browser",
      onAuthorizationUrl: ({ url }) => {
        this.asked.push("browser");
        return this.provider.follow(url, { deny: this.denies });
      },
    };
  }

  /** What is stored; an error when there is nothing, or more than one entry. */
  async stored(): Promise<OidcCredentials> {
    const [key, ...more] = await this.keys();
    if (key === undefined || more.length > 0) throw new Error(`Stored: ${[key, ...more]}`);
    return (await this.backend.get(key))!;
  }

  /** The keys of all that is stored. */
  async keys(): Promise<string[]> {
    return await Array.fromAsync(this.backend.list());
  }

  /** Writes a file that only this user reads. Gives its path. */
  async write(text: string): Promise<string> {
    const path = `${this.home.path}/own`;
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#env[Symbol.dispose]();
    await this.home[Symbol.asyncDispose]();
  }
}
