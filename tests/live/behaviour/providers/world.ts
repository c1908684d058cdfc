import { FileCredentialsBackend } from "../../../../backends/file.ts";
import type { OidcCredentials } from "../../../../backends/oidc_credentials_backend.ts";
import type { DeviceCode, SessionOptions } from "../../../../client/session_options.ts";
import { rememberSecret } from "../../../support/assert_no_secret.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { type TempDir, tempDir } from "../../../support/temp_home.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** One client of a provider, an empty home with a store in it, and options that join them. */
export class MatrixWorld implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly backend: FileCredentialsBackend;
  /** The codes that the person was shown. */
  readonly codes: DeviceCode[] = [];
  /**
   * For `createSession`. The person approves while the first wait goes on; no time passes but that
   * of {@linkcode clock}.
   */
  readonly options: SessionOptions;
  /** Whether the person denies what is asked. */
  denies = false;
  readonly #home: TempDir;
  readonly #env: OwnEnv;

  private constructor(
    readonly kind: ProviderKind,
    readonly provider: MatrixProvider,
    readonly client: TestClient,
    home: TempDir,
  ) {
    this.#home = home;
    this.#env = new OwnEnv({ HOME: home.path });
    this.backend = new FileCredentialsBackend();
    const answered = new Set<DeviceCode>();
    this.clock.onDelay = async () => {
      const code = this.codes.at(-1);
      if (code === undefined || answered.has(code)) return;
      answered.add(code);
      await provider.approve(code, { deny: this.denies });
    };
    this.options = {
      issuer: provider.issuer,
      clientId: client.clientId,
      ...(client.clientSecret && { clientSecret: client.clientSecret }),
      credentialsBackend: this.backend,
      onDeviceCode: (code) => void this.codes.push(code),
      now: this.clock.now,
      delay: this.clock.delay,
    };
  }

  static async make(
    kind: ProviderKind,
    provider: MatrixProvider,
    client: ClientKind | TestClient = "public",
  ): Promise<MatrixWorld> {
    const known = typeof client === "string" ? provider.client(client) : client;
    if (known.clientSecret !== undefined) rememberSecret(known.clientSecret);
    return new MatrixWorld(kind, provider, known, await tempDir());
  }

  /** For a sign-in in the browser, which waits in real time. */
  get browserOptions(): SessionOptions {
    const { onDeviceCode: _, now: _1, delay: _2, ...options } = this.options;
    const { authorizationParameters } = this.kind;
    return {
      ...options,
      ...(authorizationParameters && { authorizationParameters }),
      flow: "browser",
      onAuthorizationUrl: ({ url }) => this.provider.follow(url, { deny: this.denies }),
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#env[Symbol.dispose]();
    await this.#home[Symbol.asyncDispose]();
  }
}
